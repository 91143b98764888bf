#include "revocation/testing/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace exeat::revocation {
namespace {

using ::testing::Eq;
using ::testing::Optional;
using What = Operation::What;

Operation Revoke(std::uint64_t begin, std::uint64_t end, Kind kind = Kind::kSession) {
  return {What::kRevoke, kind, true, begin, end};
}
Operation Restore(std::uint64_t begin, std::uint64_t end, bool found = true,
                  Kind kind = Kind::kSession) {
  return {What::kRestore, kind, found, begin, end};
}
Operation Allowed(std::uint64_t begin, std::uint64_t end) {
  return {What::kCheck, Kind::kSession, true, begin, end};
}
Operation Denied(std::uint64_t begin, std::uint64_t end) {
  return {What::kCheck, Kind::kSession, false, begin, end};
}
std::optional<std::uint64_t> Misfit(std::vector<Operation> operations) {
  return History(std::move(operations)).FirstMisfit();
}

TEST(History, TakesWhatHappensOneAfterTheOther) {
  EXPECT_EQ(Misfit({Allowed(1, 2), Revoke(3, 4), Denied(5, 6), Restore(7, 8), Allowed(9, 10)}),
            std::nullopt);
}

TEST(History, RefusesAnAllowThatBeganAfterTheAcknowledgement) {
  EXPECT_THAT(Misfit({Revoke(1, 2), Allowed(3, 4)}), Optional(Eq(4)));
}

TEST(History, TakesAnAllowThatOverlapsTheRevoke) {
  EXPECT_EQ(Misfit({Revoke(1, 4), Allowed(3, 6), Denied(7, 8)}), std::nullopt);
}

TEST(History, RefusesADenialWithoutARevoke) {
  EXPECT_THAT(Misfit({Denied(1, 2), Revoke(3, 4)}), Optional(Eq(2)));
}

TEST(History, TakesADenialBeforeTheAcknowledgement) {
  EXPECT_EQ(Misfit({Revoke(1, 8), Denied(2, 3), Allowed(4, 5)}), std::nullopt);
}

TEST(History, RefusesAnAllowBetweenARevokeAndItsRestore) {
  EXPECT_THAT(Misfit({Revoke(1, 2), Allowed(3, 4), Restore(5, 6)}), Optional(Eq(4)));
}

TEST(History, RefusesADenialAfterTheRestore) {
  EXPECT_THAT(Misfit({Revoke(1, 2), Restore(3, 4), Denied(5, 6)}), Optional(Eq(6)));
}

TEST(History, RefusesADenialAfterAnAllowThatOnlyARestoreExplains) {
  EXPECT_EQ(Misfit({Revoke(1, 4), Restore(2, 5), Allowed(6, 7)}), std::nullopt);
  EXPECT_EQ(Misfit({Revoke(1, 4), Restore(2, 5), Denied(6, 7)}), std::nullopt);
  EXPECT_THAT(Misfit({Revoke(1, 4), Restore(2, 5), Allowed(6, 7), Denied(8, 9)}), Optional(Eq(9)));
}

TEST(History, KeepsTheKindsApart) {
  EXPECT_THAT(Misfit({Revoke(1, 2), Revoke(3, 4, Kind::kSubject), Restore(5, 6), Allowed(7, 8)}),
              Optional(Eq(8)));
  EXPECT_EQ(Misfit({Revoke(1, 2), Revoke(3, 4, Kind::kSubject), Restore(5, 6),
                    Restore(7, 8, true, Kind::kSubject), Allowed(9, 10)}),
            std::nullopt);
}

TEST(History, RefusesARestoreThatFoundWhatWasNotThere) {
  EXPECT_THAT(Misfit({Restore(1, 2)}), Optional(Eq(2)));
  EXPECT_EQ(Misfit({Restore(1, 2, false)}), std::nullopt);
  EXPECT_THAT(Misfit({Revoke(1, 2), Restore(3, 4, false)}), Optional(Eq(4)));
}

}  // namespace
}  // namespace exeat::revocation
