#include "issuer/leaf_book.h"

#include "base/testing/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::issuer {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LeafBookTest : public testing::Test {
 protected:
  void Mint(const std::string& name) {
    auto leaf = std::make_shared<Leaf>();
    leaf->name = name;
    leaf->not_before = clock.UnixNow();
    leaf->not_after = clock.UnixNow() + 3000;
    book.Insert(leaf);
  }

  base::FakeClock clock;
  LeafBook book{{.max_leaves = 3, .max_idle = std::chrono::minutes(10), .batch = 2}, clock};
};

TEST_F(LeafBookTest, FindsWhatWasInserted) {
  EXPECT_EQ(book.Find("a.test"), nullptr);
  Mint("a.test");
  ASSERT_NE(book.Find("a.test"), nullptr);
  EXPECT_TRUE(book.Contains("a.test"));
}

TEST_F(LeafBookTest, TakesTheLeastRecentlyUsedPastItsBoundInBatches) {
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) Mint(name);
  book.Touch("a");
  EXPECT_THAT(book.TakeIdle(), ElementsAre("b", "c"));
  EXPECT_THAT(book.TakeIdle(), ElementsAre("d"));
  EXPECT_THAT(book.TakeIdle(), IsEmpty());
  EXPECT_EQ(book.size(), 3u);
}

TEST_F(LeafBookTest, TakesIdleNamesAndKeepsUsedOnes) {
  Mint("a");
  Mint("b");
  clock.Advance(std::chrono::minutes(6));
  book.Touch("b");
  clock.Advance(std::chrono::minutes(6));
  EXPECT_THAT(book.TakeIdle(), ElementsAre("a"));
  EXPECT_TRUE(book.Contains("b"));
}

TEST_F(LeafBookTest, ALeafInItsLastThirdIsDueAndNoLongerHandedOut) {
  Mint("a");
  clock.Advance(std::chrono::seconds(1999));
  EXPECT_THAT(book.DueForRenewal(), IsEmpty());
  clock.Advance(std::chrono::seconds(1));
  EXPECT_THAT(book.DueForRenewal(), ElementsAre("a"));
  EXPECT_EQ(book.Find("a"), nullptr);
  Mint("a");
  EXPECT_NE(book.Find("a"), nullptr);
}

TEST_F(LeafBookTest, ALeafFromBeforeTheClockWasSetBackIsDueToo) {
  Mint("a");
  clock.StepWall(-std::chrono::seconds(1));
  EXPECT_THAT(book.DueForRenewal(), ElementsAre("a"));
  EXPECT_EQ(book.Find("a"), nullptr);
}

}  // namespace
}  // namespace exeat::issuer
