#include "limits/name_budget.h"

#include "base/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace exeat::limits {
namespace {

class NameBudgetTest : public testing::Test {
 protected:
  static std::string Name(int i) { return "n" + std::to_string(i) + ".test"; }

  base::FakeClock clock;
  NameBudget budget{{.per_session_per_minute = 10, .unannounced_per_minute = 20, .max_sessions = 3},
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

}  // namespace
}  // namespace exeat::limits
