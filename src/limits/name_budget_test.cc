#include "limits/name_budget.h"

#include "base/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace exeat::limits {
namespace {

class NameBudgetTest : public testing::Test {
 protected:
  static std::string Name(int i) { return "n" + std::to_string(i) + ".test"; }

  static base::SocketEnd V4(std::uint8_t last, std::uint16_t port = 1) {
    return {.ip = {10, 0, 0, last}, .port = port, .is_v4 = true};
  }
  static base::SocketEnd V6(std::uint8_t subnet, std::uint8_t last) {
    base::SocketEnd end{.ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, subnet}, .port = 1, .is_v4 = false};
    end.ip[15] = last;
    return end;
  }

  base::FakeClock clock;
  NameBudget budget{{.per_session_per_minute = 10,
                     .per_source_per_minute = 5,
                     .unannounced_per_minute = 20,
                     .max_sessions = 3,
                     .max_sources = 2},
                    clock};
};

TEST_F(NameBudgetTest, ASessionMayBringOnlySoManyNewNamesAMinute) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.AdmitAtConnect("s1", Name(i)));
  EXPECT_FALSE(budget.AdmitAtConnect("s1", Name(10)));
  EXPECT_TRUE(budget.AdmitAtConnect("s2", Name(10)));
  clock.Advance(std::chrono::seconds(6));
  EXPECT_TRUE(budget.AdmitAtConnect("s1", Name(10)));
  EXPECT_FALSE(budget.AdmitAtConnect("s1", Name(11)));
}

TEST_F(NameBudgetTest, AnAnnouncedNameIsMintedOnceWithoutTouchingTheCommonBucket) {
  ASSERT_TRUE(budget.AdmitAtConnect("s1", "a.test"));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(budget.AdmitMint(Name(i)));
  EXPECT_TRUE(budget.AdmitMint("a.test"));
  EXPECT_FALSE(budget.AdmitMint("a.test"));
}

TEST_F(NameBudgetTest, AnAnnouncementIsGoodForAMinute) {
  ASSERT_TRUE(budget.AdmitAtConnect("s1", "a.test"));
  clock.Advance(std::chrono::seconds(61));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(budget.AdmitMint(Name(i)));
  EXPECT_FALSE(budget.AdmitMint("a.test"));
}

TEST_F(NameBudgetTest, SessionsBeyondTheTrackedOnesShareTheCommonBucket) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.AdmitAtConnect("s" + std::to_string(i), "x.test"));
  int admitted = 0;
  for (int i = 3; i < 100; ++i) {
    if (budget.AdmitAtConnect("s" + std::to_string(i), "x.test")) ++admitted;
  }
  EXPECT_EQ(admitted, 20);
}

TEST_F(NameBudgetTest, ASourceMayBringOnlySoManyNewNamesAMinuteFromWhateverPort) {
  for (std::uint16_t i = 0; i < 5; ++i) EXPECT_TRUE(budget.AdmitFrom(V4(1, i), Name(i)));
  EXPECT_FALSE(budget.AdmitFrom(V4(1, 9), Name(9)));
  EXPECT_TRUE(budget.AdmitFrom(V4(2), Name(9)));
  clock.Advance(std::chrono::seconds(12));
  EXPECT_TRUE(budget.AdmitFrom(V4(1), Name(9)));
  EXPECT_FALSE(budget.AdmitFrom(V4(1), Name(10)));
}

TEST_F(NameBudgetTest, TheAddressesOfOneIpv6SubnetAreOneSource) {
  for (std::uint8_t i = 0; i < 5; ++i) EXPECT_TRUE(budget.AdmitFrom(V6(1, i), Name(i)));
  EXPECT_FALSE(budget.AdmitFrom(V6(1, 99), Name(9)));
  EXPECT_TRUE(budget.AdmitFrom(V6(2, 99), Name(9)));
}

TEST_F(NameBudgetTest, TheCommonBucketStandsBehindTheSources) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(budget.AdmitMint(Name(i)));
  EXPECT_TRUE(budget.AdmitFrom(V4(1), "a.test"));
  EXPECT_FALSE(budget.AdmitMint("a.test"));
}

TEST_F(NameBudgetTest, SourcesBeyondTheTrackedOnesShareTheCommonBucketAndPayItOnce) {
  for (std::uint8_t i = 0; i < 2; ++i) EXPECT_TRUE(budget.AdmitFrom(V4(i), "x.test"));
  int admitted = 0;
  for (std::uint8_t i = 2; i < 100; ++i) {
    if (!budget.AdmitFrom(V4(i), Name(i))) continue;
    ++admitted;
    EXPECT_TRUE(budget.AdmitMint(Name(i)));
  }
  EXPECT_EQ(admitted, 20);
  EXPECT_FALSE(budget.AdmitFrom(V4(200), "y.test"));
  clock.Advance(std::chrono::seconds(61));
  EXPECT_TRUE(budget.AdmitFrom(V4(200), "y.test"));
}

}  // namespace
}  // namespace exeat::limits
