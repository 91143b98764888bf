#include <string>

#include "authz/decision.h"
#include "authz/testing/small_edge.h"
#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

Question Ask(std::string_view method, std::string_view host, std::uint16_t port,
             std::string_view path) {
  Question question;
  question.claims = std::make_shared<const session::VerifiedClaims>(ClaimsOf("a"));
  question.method = method;
  question.host = host;
  question.port = port;
  question.path = path;
  return question;
}

std::string Explained(const Question& question, const SmallEdge& edge = {}) {
  const Verdict verdict = Explain(question, edge.Read());
  return verdict.allowed ? "allowed" : std::string(Code(verdict.reason));
}

TEST(Explain, AnswersAsTheEdgeWould) {
  EXPECT_EQ(Explained(Ask("GET", "api.test", 443, "/")), "allowed");
  EXPECT_EQ(Explained(Ask("GET", "API.test.", 443, "")), "allowed");
  EXPECT_EQ(Explained(Ask("GET", "api.test", 8443, "/x?y")), "allowed");
  EXPECT_EQ(Explained(Ask("GET", "api.test", 22, "/")), "port_not_allowed");
  EXPECT_EQ(Explained(Ask("GET", "api.test", 0, "/")), "request_malformed");
  EXPECT_EQ(Explained(Ask("GET", "unlisted.test", 443, "/")), "destination_not_allowed");
  EXPECT_EQ(Explained(Ask("GET", "grant.test", 443, "/")), "grant_missing");
  EXPECT_EQ(Explained(Ask("GET", "rules.test", 443, "/")), "path_not_allowed");
  EXPECT_EQ(Explained(Ask("PUT", "rules.test", 443, "/v1/x")), "method_not_allowed");
  EXPECT_EQ(Explained(Ask("TRACE", "open.test", 443, "/")), "method_not_allowed");
  EXPECT_EQ(Explained(Ask("GET", "open.test", 443, "/../x")), "request_malformed");
  EXPECT_EQ(Explained(Ask("GET", "op en.test", 443, "/")), "request_malformed");
}

TEST(Explain, TakesAddressesForWhatTheyAre) {
  for (const std::string_view host : {"10.0.0.1", "::1", "[::1]", "fe80::1", "127.1"}) {
    EXPECT_EQ(Explained(Ask("GET", host, 443, "/")), "destination_not_allowed") << host;
  }
}

TEST(Explain, AnswersForTheConnectAloneWhenAskedAboutIt) {
  EXPECT_EQ(Explained(Ask("CONNECT", "rules.test", 443, "")), "allowed");
  EXPECT_EQ(Explained(Ask("CONNECT", "unlisted.test", 443, "")), "destination_not_allowed");
}

TEST(Explain, NeedsASession) {
  Question question = Ask("GET", "api.test", 443, "/");
  question.claims = nullptr;
  EXPECT_EQ(Explained(question), "token_missing");
}

TEST(Explain, SeesRevocationPostureAndMissingCredentials) {
  SmallEdge edge;
  Snapshot snapshot = edge.Read();
  snapshot.unavailable_credentials = {"key"};
  EXPECT_EQ(Explain(Ask("GET", "api.test", 443, "/"), snapshot).reason,
            Reason::kCredentialUnavailable);
  edge.policy.posture = policy::Posture::kDenyAll;
  EXPECT_EQ(Explained(Ask("GET", "api.test", 443, "/"), edge), "posture_deny_all");
  edge.denylist.Add({revocation::Kind::kSubject, "sub-a"});
  EXPECT_EQ(Explained(Ask("GET", "api.test", 443, "/"), edge), "session_revoked");
}

TEST(Explain, NamesTheDestinationThatDecided) {
  const SmallEdge edge;
  const Snapshot snapshot = edge.Read();
  EXPECT_EQ(Explain(Ask("GET", "rules.test", 443, "/"), snapshot).destination,
            &snapshot.policy->destinations[2]);
}

}  // namespace
}  // namespace exeat::authz
