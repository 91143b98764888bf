#include "revocation/key_table.h"

#include "gtest/gtest.h"

namespace exeat::revocation {
namespace {

TEST(KeyTable, FindsWhatWasInsertedEvenWhenAllKeysWantOneSlot) {
  // Equal low halves: the slot does not look at the high one.
  KeyTable table(1000, {.mask = 7, .factor = 0x9E3779B97F4A7C15});
  for (std::uint64_t high = 1; high <= 1000; ++high) ASSERT_TRUE(table.Insert({high, 5}));
  for (std::uint64_t high = 1; high <= 1000; ++high) ASSERT_TRUE(table.Contains({high, 5}));
  EXPECT_FALSE(table.Contains({1001, 5}));
  EXPECT_EQ(table.size(), 1000u);
}

TEST(KeyTable, GoesOnAtTheStartWhenTheEndIsFull) {
  KeyTable table(100, {});
  constexpr std::uint64_t kLast = ~std::uint64_t{0};
  for (std::uint64_t high = 0; high < 100; ++high) ASSERT_TRUE(table.Insert({high, kLast}));
  for (std::uint64_t high = 0; high < 100; ++high) ASSERT_TRUE(table.Contains({high, kLast}));
}

TEST(KeyTable, SpreadsKeysThatDifferOnlyInTheirLowestBitsWhenSalted) {
  // Without the salt's factor these would all crowd the first slots.
  KeyTable crowded(64, {});
  KeyTable spread(64, {.mask = 7, .factor = 0x9E3779B97F4A7C15});
  std::vector<Key> order;
  for (std::uint64_t low = 1; low <= 64; ++low) {
    crowded.Insert({1, low});
    spread.Insert({1, low});
  }
  spread.ForEach([&](Key key) { order.push_back(key); });
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST(KeyTable, KnowsTheKeyOfZeros) {
  KeyTable table(1, {});
  EXPECT_FALSE(table.Contains({}));
  EXPECT_TRUE(table.Insert({}));
  EXPECT_FALSE(table.Insert({}));
  EXPECT_TRUE(table.Contains({}));
}

TEST(KeyTable, CostsTwoSlotsAKey) {
  EXPECT_LE(KeyTable(1'000'000, {}).bytes(), 32u * 1'000'000 + 256);
}

}  // namespace
}  // namespace exeat::revocation
