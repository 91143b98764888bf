#include "authz/token_places.h"

#include <string>

#include "authz/testing/small_edge.h"
#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

// "sid" when a session is named, else the code of the refusal.
std::string Read(const Facts& facts) {
  const SmallEdge edge;
  const Presented presented = ReadToken(facts, *edge.verifier);
  return presented.refusal ? std::string(Code(*presented.refusal)) : presented.claims->sid;
}

std::string ReadProxyAuthorization(const std::string& header) {
  Facts facts = ConnectFacts();
  facts.proxy_authorization = header;
  return Read(facts);
}

TEST(TokenAtConnect, ComesByBasicAsPasswordOrElseAsUser) {
  EXPECT_EQ(ReadProxyAuthorization(Basic("session:A")), "a");
  EXPECT_EQ(ReadProxyAuthorization(Basic("B:")), "b");
  EXPECT_EQ(ReadProxyAuthorization(Basic(":A")), "a");
  EXPECT_EQ(ReadProxyAuthorization(Basic("A:B")), "b");
  EXPECT_EQ(ReadProxyAuthorization(Basic("A:forged")), "token_invalid");
}

TEST(TokenAtConnect, ComesByBearer) { EXPECT_EQ(ReadProxyAuthorization("Bearer A"), "a"); }

TEST(TokenAtConnect, HasASchemeOfAnyCaseAndSpacesBehindIt) {
  EXPECT_EQ(ReadProxyAuthorization("bEARER   A"), "a");
  EXPECT_EQ(ReadProxyAuthorization("basic " + base::Base64Encode("s:A")), "a");
}

TEST(TokenAtConnect, IsMissingOrInvalidOtherwise) {
  EXPECT_EQ(ReadProxyAuthorization(""), "token_missing");
  EXPECT_EQ(ReadProxyAuthorization("Bearer "), "token_missing");
  EXPECT_EQ(ReadProxyAuthorization(Basic(":")), "token_missing");
  EXPECT_EQ(ReadProxyAuthorization("Basic !!!"), "token_invalid");
  EXPECT_EQ(ReadProxyAuthorization("Basic " + std::string(64 << 10, 'A')), "token_invalid");
  EXPECT_EQ(ReadProxyAuthorization(Basic("nocolon")), "token_invalid");
  EXPECT_EQ(ReadProxyAuthorization("Digest A"), "token_invalid");
  EXPECT_EQ(ReadProxyAuthorization("A"), "token_invalid");
}

TEST(TokenAtConnect, StandsInNoOtherPlace) {
  Facts facts = ConnectFacts();
  facts.proxy_authorization = "";
  facts.authorization = "Bearer A";
  facts.api_key = "A";
  facts.session_header = "A";
  facts.tunnel_token = "Bearer A";
  EXPECT_EQ(Read(facts), "token_missing");
}

TEST(TokenAtConnect, IsHandedOnOnlyWhenItVerified) {
  const SmallEdge edge;
  Facts facts = ConnectFacts();
  const std::string header = Basic("session:A");
  facts.proxy_authorization = header;
  EXPECT_EQ(ReadToken(facts, *edge.verifier).token.Reveal(), "A");
  facts.proxy_authorization = "Bearer forged";
  EXPECT_TRUE(ReadToken(facts, *edge.verifier).token.empty());
}

TEST(TokenRejection, HasACodeOfItsOwnForTimeAndAudience) {
  EXPECT_EQ(ReadProxyAuthorization("Bearer old"), "token_expired");
  EXPECT_EQ(ReadProxyAuthorization("Bearer early"), "token_expired");
  EXPECT_EQ(ReadProxyAuthorization("Bearer other"), "token_audience");
  EXPECT_EQ(ReadProxyAuthorization("Bearer forged"), "token_invalid");
}

TEST(TokenRejection, CoversClaimsThatNameNoSession) {
  SmallEdge edge;
  edge.verifier->Accept("nobody", ClaimsOf(""));
  Facts facts = ConnectFacts();
  facts.proxy_authorization = "Bearer nobody";
  EXPECT_EQ(ReadToken(facts, *edge.verifier).refusal, Reason::kTokenInvalid);
}

TEST(TokenRejection, CoversAVerifierThatAcceptsWithoutClaims) {
  SmallEdge edge;
  edge.verifier->Reject("odd", session::Rejection::kNone);
  Facts facts = ConnectFacts();
  facts.proxy_authorization = "Bearer odd";
  EXPECT_EQ(ReadToken(facts, *edge.verifier).refusal, Reason::kTokenInvalid);
}

// The rows of facts about Envoy's own rules for the same request, and those between them.
struct Row {
  std::string_view tunnel, session_header, authorization, api_key, expected;
};

TEST(TokenInTunnel, IsTheTunnelsAndNothingElseOpensADoor) {
  for (const Row& row : {
           Row{"Bearer A", "", "", "", "a"},
           Row{"A", "", "", "", "a"},
           Row{"Bearer A", "A", "", "", "a"},
           Row{"Bearer A", "A2", "", "", "a"},
           Row{"Bearer A", "", "Bearer sk-dummy", "sk-dummy", "a"},
           Row{"Bearer A", "", "Bearer B", "B", "a"},
           Row{"Bearer A", "B", "", "", "token_conflict"},
           Row{"Bearer A", "forged", "", "", "token_invalid"},
           Row{"Bearer A", "old", "", "", "token_expired"},
           Row{"Bearer old", "", "", "", "token_expired"},
           Row{"Bearer old", "A", "Bearer A", "A", "token_expired"},
           Row{"Bearer forged", "A", "Bearer A", "A", "token_invalid"},
           Row{"", "A", "Bearer A", "A", "token_missing"},
           Row{"-", "A", "Bearer A", "A", "token_missing"},
           Row{"Bearer -", "A", "Bearer A", "A", "token_missing"},
       }) {
    Facts facts = TunnelFacts();
    facts.tunnel_token = row.tunnel;
    facts.session_header = row.session_header;
    facts.authorization = row.authorization;
    facts.api_key = row.api_key;
    EXPECT_EQ(Read(facts), row.expected) << row.tunnel << " beside " << row.session_header;
  }
}

TEST(TokenOnTransparentLeg, IsTheSessionHeadersAloneElseTheFirstKeyThatVerifies) {
  for (const Row& row : {
           Row{"", "", "", "", "token_missing"},
           Row{"", "A", "", "", "a"},
           Row{"", "A", "Bearer sk-dummy", "sk-dummy", "a"},
           Row{"", "A", "Bearer B", "B", "a"},
           Row{"", "forged", "Bearer A", "A", "token_invalid"},
           Row{"", "", "Bearer A", "", "a"},
           Row{"", "", "bearer A", "", "a"},
           Row{"", "", "", "A", "a"},
           Row{"", "", "Bearer sk-dummy", "B", "b"},
           Row{"", "", "Bearer A", "B", "a"},
           Row{"", "", "Bearer A,Bearer A", "", "token_invalid"},
           Row{"", "", "Bearer old", "", "token_expired"},
           Row{"", "", "Bearer old", "forged", "token_expired"},
           Row{"", "", "Bearer forged", "old", "token_invalid"},
           Row{"", "", "", "other", "token_audience"},
           Row{"", "", "Basic QTpB", "", "token_missing"},
           Row{"Bearer A", "", "", "", "token_missing"},
       }) {
    Facts facts = TransparentFacts();
    facts.tunnel_token = row.tunnel;
    facts.session_header = row.session_header;
    facts.authorization = row.authorization;
    facts.api_key = row.api_key;
    EXPECT_EQ(Read(facts), row.expected)
        << row.session_header << "|" << row.authorization << "|" << row.api_key;
  }
}

TEST(RepeatedCredentials, AreMalformedAtConnectAndInvalidInside) {
  Facts connect = ConnectFacts();
  Facts tunnel = TunnelFacts();
  Facts transparent = TransparentFacts();
  for (Facts* facts : {&connect, &tunnel, &transparent}) facts->duplicate_credentials = true;
  EXPECT_EQ(Read(connect), "request_malformed");
  EXPECT_EQ(Read(tunnel), "token_invalid");
  EXPECT_EQ(Read(transparent), "token_invalid");
}

TEST(RepeatedCredentials, AreIgnoredInKeyPlacesThatAreIgnored) {
  Facts tunnel = TunnelFacts();
  Facts with_header = TransparentFacts();
  with_header.session_header = "A";
  Facts keys_only = TransparentFacts();
  Facts connect = ConnectFacts();
  for (Facts* facts : {&tunnel, &with_header, &keys_only, &connect}) {
    facts->duplicate_credentials = true;
    facts->only_key_places_repeat = true;
  }
  EXPECT_EQ(Read(tunnel), "a");
  EXPECT_EQ(Read(with_header), "a");
  EXPECT_EQ(Read(keys_only), "token_invalid");
  EXPECT_EQ(Read(connect), "request_malformed");
}

TEST(Presented, RefusesWhenDefaultConstructed) {
  EXPECT_TRUE(Presented{}.refusal.has_value());
  EXPECT_EQ(Presented{}.claims, nullptr);
}

}  // namespace
}  // namespace exeat::authz
