#include "envoy/rate_limit.h"

#include <gtest/gtest.h>

namespace exeat::envoy {
namespace {

Json SessionBucket(std::uint32_t requests_per_minute, std::uint32_t burst) {
  policy::Policy policy;
  policy.limits = policy::RateLimit{requests_per_minute, burst};
  const Json filter = RateLimitFilter(policy, 100);
  return filter["typed_config"]["descriptors"][0]["token_bucket"];
}

TEST(RateLimitFilter, RefillsEvenlyAndNeverFasterThanEnvoyAllows) {
  EXPECT_EQ(SessionBucket(60, 10),
            Json({{"max_tokens", 10}, {"tokens_per_fill", 1}, {"fill_interval", "1.000000000s"}}));
  EXPECT_EQ(SessionBucket(7, 7)["fill_interval"], "8.571428571s");
  EXPECT_EQ(SessionBucket(1200, 1)["fill_interval"], "0.050000000s");
  EXPECT_EQ(SessionBucket(6000, 1)["tokens_per_fill"], 5);
  EXPECT_EQ(SessionBucket(6000, 1)["fill_interval"], "0.050000000s");
  EXPECT_EQ(SessionBucket(6001, 1)["tokens_per_fill"], 6);
}

TEST(RateLimitFilter, StandsInTheChainEvenWithoutLimits) {
  const Json filter = RateLimitFilter(policy::Policy(), 100);
  EXPECT_TRUE(filter["typed_config"]["descriptors"].empty());
  EXPECT_EQ(filter["typed_config"]["filter_enforced"]["default_value"]["numerator"], 100);
}

TEST(RateLimitFilter, KeepsABucketForEachSessionAndLimitedDestination) {
  policy::Policy policy;
  policy.limits = policy::RateLimit{60, 60};
  policy.destinations = {{.name = "a", .limits = policy::RateLimit{60, 60}}, {.name = "b"}};
  const Json config = RateLimitFilter(policy, 100)["typed_config"];
  EXPECT_EQ(config["descriptors"].size(), 2u);
  EXPECT_EQ(config["max_dynamic_descriptors"], 300);
  EXPECT_EQ(config["descriptors"][1]["entries"][0], Json({{"key", "destination"}, {"value", "a"}}));
}

// For the whole filter, the endless bucket of unlimited destinations would be told too.
TEST(RateLimitFilter, TellsTheGuestOnlyOfLimitsThatThePolicySets) {
  const Json config = RateLimitFilter(policy::Policy(), 100)["typed_config"];
  EXPECT_FALSE(config.contains("enable_x_ratelimit_headers"));
  for (const Json& limit : config["rate_limits"]) {
    EXPECT_EQ(limit["x_ratelimit_option"], "DRAFT_VERSION_03");
  }
}

}  // namespace
}  // namespace exeat::envoy
