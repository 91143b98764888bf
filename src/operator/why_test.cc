#include "operator/why.h"

#include "authz/testing/small_edge.h"
#include "base/testing/status_matchers.h"
#include "nlohmann/json.hpp"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;

std::shared_ptr<const session::VerifiedClaims> ClaimsWith(std::vector<std::string> grants = {}) {
  return std::make_shared<const session::VerifiedClaims>(authz::ClaimsOf("a", std::move(grants)));
}

TEST(Why, NamesTheRuleAndTheCredentialOfAnAllowedRequest) {
  const auto answer =
      ExplainRequest("GET", "https://API.test/v1?q=1#f", ClaimsWith(), authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->allowed);
  EXPECT_EQ(answer->destination, "api");
  EXPECT_EQ(answer->credential, "key");
  EXPECT_EQ(answer->path, "/v1");
  EXPECT_EQ(answer->port, 443);
  EXPECT_EQ(answer->reason, "");
}

TEST(Why, SaysWhatIsAskedAboutOnceATunnel) {
  authz::SmallEdge edge;
  edge.policy.destinations.front().authorize = policy::Authorize::kConnection;
  const auto text = [&](const char* url) {
    return ToText(*ExplainRequest("GET", url, ClaimsWith(), edge.Read()));
  };
  EXPECT_THAT(text("https://api.test/"), ::testing::HasSubstr("asked        once a tunnel"));
  EXPECT_THAT(text("https://open.test/"), ::testing::Not(::testing::HasSubstr("asked")));
}

TEST(Why, SaysThatATokenIsMissing) {
  const auto answer = ExplainRequest("GET", "https://api.test", nullptr, authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  EXPECT_FALSE(answer->allowed);
  EXPECT_EQ(answer->reason, "token_missing");
  EXPECT_EQ(answer->destination, "api");
}

TEST(Why, SaysWithoutASessionWhatOneWouldMeet) {
  const authz::Snapshot snapshot = authz::SmallEdge().Read();
  const auto with_session = [&snapshot](const char* url) {
    return ExplainRequest("GET", url, nullptr, snapshot)->with_session;
  };
  EXPECT_EQ(with_session("https://api.test/"), "allowed");
  EXPECT_EQ(with_session("https://grant.test/"), "allowed");
  EXPECT_EQ(with_session("https://rules.test/v9"), "path_not_allowed");
  EXPECT_EQ(with_session("https://unlisted.test/"), "destination_not_allowed");
  EXPECT_EQ(with_session("http://api.test/"), "");
  EXPECT_EQ(ExplainRequest("GET", "https://api.test/", ClaimsWith(), snapshot)->with_session, "");
  EXPECT_THAT(ToText(*ExplainRequest("GET", "https://grant.test/", nullptr, snapshot)),
              ::testing::HasSubstr("with one that holds the grant g: allowed"));
}

TEST(Why, ShowsTheRulesOfTheDestination) {
  const auto answer =
      ExplainRequest("GET", "https://rules.test/v9", ClaimsWith(), authz::SmallEdge().Read());
  EXPECT_THAT(answer->allow, ::testing::Contains("GET,HEAD /v1/**"));
  EXPECT_THAT(answer->allow, ::testing::Contains("every method /any"));
  EXPECT_THAT(ToText(*answer), ::testing::HasSubstr("  allow        POST /v1/messages\n"));
}

TEST(Why, SaysThatAGrantIsMissingAndWhichOne) {
  const auto answer =
      ExplainRequest("GET", "https://grant.test/", ClaimsWith(), authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->reason, "grant_missing");
  EXPECT_EQ(answer->status, 403);
}

TEST(Why, RefusesClearTextWhateverTheRulesSay) {
  const auto answer =
      ExplainRequest("GET", "http://api.test:443/", ClaimsWith(), authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  EXPECT_FALSE(answer->allowed);
  EXPECT_EQ(answer->reason, "cleartext_not_allowed");
}

TEST(Why, RefusesWhatIsNoMethodOrUrl) {
  const authz::Snapshot snapshot = authz::SmallEdge().Read();
  for (const char* url : {"", "api.test", "ftp://api.test/", "https://", "https://u:p@api.test/",
                          "https://127.0.0.1/", "https://api.test:0/", "https://api.test:99999/"}) {
    EXPECT_THAT(ExplainRequest("GET", url, nullptr, snapshot),
                StatusIs(StatusCode::kInvalidArgument))
        << url;
  }
  for (const char* method : {"", "get", "GE T"}) {
    EXPECT_THAT(ExplainRequest(method, "https://api.test/", nullptr, snapshot),
                StatusIs(StatusCode::kInvalidArgument))
        << method;
  }
}

TEST(Why, SpeaksTextAndJsonOfTheSameFacts) {
  const auto answer =
      ExplainRequest("DELETE", "https://rules.test/v1/x", ClaimsWith(), authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  const nlohmann::json json = nlohmann::json::parse(ToJson(*answer));
  EXPECT_EQ(json["reason"], "method_not_allowed");
  EXPECT_EQ(json["allowed"], false);
  EXPECT_THAT(ToText(*answer), ::testing::HasSubstr("method_not_allowed"));
}

}  // namespace
}  // namespace exeat::ops
