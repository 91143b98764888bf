#include "operator/why.h"

#include "authz/testing/small_edge.h"
#include "base/testing/status_matchers.h"
#include "nlohmann/json.hpp"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;

std::shared_ptr<const session::Claims> ClaimsWith(std::vector<std::string> grants = {}) {
  return std::make_shared<const session::Claims>(authz::ClaimsOf("a", std::move(grants)));
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

TEST(Why, SaysThatATokenIsMissing) {
  const auto answer = ExplainRequest("GET", "https://api.test", nullptr, authz::SmallEdge().Read());
  ASSERT_THAT(answer, IsOk());
  EXPECT_FALSE(answer->allowed);
  EXPECT_EQ(answer->reason, "token_missing");
  EXPECT_EQ(answer->destination, "api");
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
