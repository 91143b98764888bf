#include "cli/walk.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::cli {
namespace {

Hop Last(const Answer& answer, bool may_get = true) { return Judge(answer, may_get).back(); }

TEST(Walk, NamesTheProxyWhenNothingAnswers) {
  const Hop hop = Last({.curl_code = 7, .curl_error = "Couldn't connect"});
  EXPECT_EQ(hop.name, "proxy");
  EXPECT_FALSE(hop.ok);
}

TEST(Walk, NamesConnectWithItsReason) {
  const Hop hop = Last({.curl_code = 56, .connect_status = 403, .deny_reason = "grant_missing"});
  EXPECT_EQ(hop.name, "connect");
  EXPECT_THAT(hop.detail, ::testing::HasSubstr("grant_missing"));
}

TEST(Walk, NamesTheLeafWhenTlsFails) {
  const Hop hop = Last({.curl_code = 60, .tls_failed = true, .connect_status = 200});
  EXPECT_EQ(hop.name, "leaf");
  EXPECT_FALSE(hop.ok);
}

TEST(Walk, NamesTheHopOfADenialInside) {
  const auto last = [](const char* reason, long status) {
    return Last({.connect_status = 200, .status = status, .deny_reason = reason});
  };
  EXPECT_EQ(last("path_not_allowed", 403).name, "decision");
  EXPECT_EQ(last("credential_unavailable", 503).name, "credential");
  EXPECT_EQ(last("address_denied", 403).name, "upstream");
  EXPECT_EQ(last("upstream_tls", 502).name, "upstream");
  EXPECT_FALSE(last("upstream_tls", 502).ok);
}

TEST(Walk, ReachesTheUpstreamWhateverItAnswers) {
  const auto hops = Judge({.connect_status = 200, .status = 404}, true);
  EXPECT_EQ(hops.size(), 6U);
  for (const Hop& hop : hops) EXPECT_TRUE(hop.ok) << hop.name;
  EXPECT_THAT(hops.back().detail, ::testing::HasSubstr("404"));
}

TEST(Walk, EndsAtTheDecisionWhereTheRulesAllowNoGet) {
  const Answer refused{.connect_status = 200, .status = 403, .deny_reason = "method_not_allowed"};
  EXPECT_TRUE(Last(refused, false).ok);
  EXPECT_FALSE(Last(refused, true).ok);
}

TEST(Walk, FindsThatNobodyListens) {
  const auto hops = Walk({.proxy_address = "127.0.0.1:1", .token = "t", .host = "api.test"});
  ASSERT_EQ(hops.size(), 1U);
  EXPECT_EQ(hops[0].name, "proxy");
  EXPECT_FALSE(hops[0].ok);
}

}  // namespace
}  // namespace exeat::cli
