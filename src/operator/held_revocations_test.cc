#include "operator/held_revocations.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::ops {
namespace {

const store::RevocationKey kKey{store::RevokedKind::kSession, "s"};

TEST(HeldRevocations, LetsADeletionOfWhatIsNotHeldThrough) {
  HeldRevocations held;
  EXPECT_TRUE(held.Deleted(kKey, 1));
}

TEST(HeldRevocations, HoldsBackAnOlderDeletionOfWhatIsBeingStored) {
  HeldRevocations held;
  held.Begin({kKey});
  EXPECT_FALSE(held.Deleted(kKey, 4));
  EXPECT_FALSE(held.Stored(kKey, 5));
  EXPECT_FALSE(held.Deleted(kKey, 4));
  EXPECT_TRUE(held.Deleted(kKey, 6));
}

TEST(HeldRevocations, TakesOutWhatWasDeletedBeforeItWasKnownToBeStored) {
  HeldRevocations held;
  held.Begin({kKey});
  EXPECT_FALSE(held.Deleted(kKey, 6));
  held.Applied(6);
  EXPECT_TRUE(held.Stored(kKey, 5));
  EXPECT_TRUE(held.keys().empty());
}

TEST(HeldRevocations, OfTwoRevokesTheLastCounts) {
  HeldRevocations held;
  held.Begin({kKey});
  held.Begin({kKey});
  EXPECT_FALSE(held.Stored(kKey, 5));
  EXPECT_FALSE(held.Deleted(kKey, 6));
  EXPECT_FALSE(held.Stored(kKey, 7));
  held.Applied(7);
  EXPECT_TRUE(held.keys().empty());
}

TEST(HeldRevocations, KeepsWhatCouldNotBeStoredUntilItIsReleased) {
  HeldRevocations held;
  held.Begin({kKey});
  held.NotStored(kKey);
  EXPECT_FALSE(held.Deleted(kKey, 9));
  held.Applied(9);
  EXPECT_THAT(held.keys(), testing::ElementsAre(kKey));
  EXPECT_TRUE(held.Release(kKey));
  EXPECT_FALSE(held.Release(kKey));
  EXPECT_TRUE(held.keys().empty());
  held.Hold(kKey);
  EXPECT_THAT(held.keys(), testing::ElementsAre(kKey));
}

TEST(HeldRevocations, ForgetsWhatTheSequenceHasToldOf) {
  HeldRevocations held;
  held.Begin({kKey});
  EXPECT_FALSE(held.Stored(kKey, 5));
  held.Applied(4);
  EXPECT_EQ(held.keys().size(), 1U);
  held.Applied(5);
  EXPECT_TRUE(held.keys().empty());
}

}  // namespace
}  // namespace exeat::ops
