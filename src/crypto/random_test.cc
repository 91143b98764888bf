#include "crypto/random.h"

#include <set>

#include "base/testing/status_matchers.h"
#include "crypto/constant_time.h"
#include "gtest/gtest.h"

namespace exeat::crypto {
namespace {

TEST(RandomId, HoldsOnlyUrlSafeCharactersAndDoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const auto id = RandomId();
    ASSERT_THAT(id, base::IsOk());
    EXPECT_EQ(id->size(), 26U);
    EXPECT_EQ(id->find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
    EXPECT_TRUE(seen.insert(*id).second);
  }
}

TEST(RandomId, UsesEveryCharacterInEveryFullPlace) {
  std::vector<std::set<char>> places(25);
  for (int i = 0; i < 3000; ++i) {
    const auto id = RandomId();
    ASSERT_THAT(id, base::IsOk());
    for (std::size_t k = 0; k < places.size(); ++k) places[k].insert((*id)[k]);
  }
  for (const auto& place : places) EXPECT_EQ(place.size(), 32U);
}

TEST(RandomUuid, HasVersionFourAndTheRfcVariant) {
  const auto uuid = RandomUuid();
  ASSERT_THAT(uuid, base::IsOk());
  EXPECT_THAT(*uuid, testing::MatchesRegex(
                         "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
}

TEST(RandomBytes, HasTheLengthAskedFor) {
  ASSERT_THAT(RandomBytes(0), base::IsOk());
  EXPECT_EQ(RandomBytes(48)->size(), 48U);
  EXPECT_NE(*RandomBytes(16), *RandomBytes(16));
}

TEST(EqualConstantTime, ComparesContentAndLength) {
  EXPECT_TRUE(EqualConstantTime("", ""));
  EXPECT_TRUE(EqualConstantTime("token", "token"));
  EXPECT_FALSE(EqualConstantTime("token", "tokem"));
  EXPECT_FALSE(EqualConstantTime("token", "toke"));
  EXPECT_FALSE(EqualConstantTime("token", ""));
}

}  // namespace
}  // namespace exeat::crypto
