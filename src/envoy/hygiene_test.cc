#include "envoy/hygiene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/testing/small_policy.h"

namespace exeat::envoy {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;

Json Remove(const char* name) { return Json::object({{"remove", name}}); }

Json Mutations() {
  policy::Policy policy = testing::SmallPolicy();
  policy.credentials[0].header = "x-odd-key";
  return HygieneFilter(policy)["typed_config"]["mutations"];
}

TEST(Hygiene, TakesFromRequestTrailersWhatItTakesFromRequestHeaders) {
  const Json mutations = Mutations();
  EXPECT_EQ(mutations["request_trailers_mutations"], mutations["request_mutations"]);
  EXPECT_THAT(
      mutations["request_trailers_mutations"],
      IsSupersetOf({Remove("x-odd-key"), Remove("authorization"), Remove("x-exeat-session")}));
}

TEST(Hygiene, TakesWhatElseAGuestCouldAuthenticateWith) {
  const auto removed = RequestHeadersToRemove(testing::SmallPolicy());
  EXPECT_THAT(removed, IsSupersetOf({"cookie", "private-token", "job-token", "deploy-token",
                                     "x-auth-token", "x-access-token", "x-amz-security-token",
                                     "x-goog-iam-authorization-token", "ocp-apim-subscription-key",
                                     "x-functions-key"}));
}

TEST(Hygiene, TakesWhatWouldNameAnotherMethodOrPathThanThePolicyAllowed) {
  EXPECT_THAT(RequestHeadersToRemove(testing::SmallPolicy()),
              IsSupersetOf({"x-http-method-override", "x-http-method", "x-method-override",
                            "x-original-url", "x-rewrite-url"}));
}

// The filter sees our denials too, whose reason must arrive.
TEST(Hygiene, CleansEveryAnswerOfAllButTheReason) {
  policy::Policy policy = testing::SmallPolicy();
  policy.credentials[0].header = "x-odd-key";
  const Json removals = Cleaning(policy)["mutations"]["response_mutations"];
  EXPECT_THAT(removals, IsSupersetOf({Remove("x-odd-key"), Remove("x-api-key"),
                                      Remove("set-cookie"), Remove("proxy-authenticate")}));
  EXPECT_THAT(removals, ::testing::Not(Contains(Remove("x-deny-reason"))));
  EXPECT_EQ(Cleaner()["typed_config"].size(), 1u);
}

TEST(Hygiene, TakesCredentialsAndForgedReasonsFromResponseTrailers) {
  const Json trailers = Mutations()["response_trailers_mutations"];
  EXPECT_THAT(trailers, IsSupersetOf({Remove("x-odd-key"), Remove("x-api-key"),
                                      Remove("set-cookie"), Remove("x-deny-reason")}));
  const Json headers = Mutations()["response_mutations"];
  ASSERT_FALSE(headers.empty());
  for (const Json& mutation : headers) {
    EXPECT_THAT(trailers, Contains(mutation));
  }
}

}  // namespace
}  // namespace exeat::envoy
