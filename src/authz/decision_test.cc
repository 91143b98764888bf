#include "authz/decision.h"

#include <functional>
#include <string>

#include "authz/testing/small_edge.h"
#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

// "allowed", or the code of the refusal.
std::string Outcome(const Verdict& verdict) {
  return verdict.allowed ? "allowed" : std::string(Code(verdict.reason));
}
std::string Outcome(const Facts& facts, const SmallEdge& edge = {}) {
  return Outcome(Decide(facts, edge.Read()));
}

TEST(Default, VerdictDeniesAndBlamesTheEdge) {
  EXPECT_FALSE(Verdict{}.allowed);
  EXPECT_EQ(Verdict{}.reason, Reason::kAuthzUnavailable);
}

TEST(Default, SnapshotDeniesWhateverIsAsked) {
  for (const Facts& facts : {ConnectFacts(), TunnelFacts(), TransparentFacts()}) {
    EXPECT_EQ(Outcome(Decide(facts, Snapshot{})), "authz_unavailable");
  }
}

TEST(Default, FactsAreDeniedOnEveryLeg) {
  for (const Leg leg : {Leg::kConnect, Leg::kTunnel, Leg::kTransparent}) {
    Facts facts;
    facts.leg = leg;
    EXPECT_EQ(Outcome(facts), "token_missing");
  }
}

TEST(Default, PolicyIsClosed) {
  SmallEdge edge;
  edge.policy = policy::Policy{};
  EXPECT_EQ(Outcome(ConnectFacts(), edge), "posture_deny_all");
  edge.policy.posture = policy::Posture::kBump;
  EXPECT_EQ(Outcome(ConnectFacts(), edge), "destination_not_allowed");
}

TEST(Default, QuestionIsDenied) {
  const SmallEdge edge;
  EXPECT_EQ(Outcome(Explain(Question{}, edge.Read())), "token_missing");
  EXPECT_EQ(Outcome(Explain(Question{}, Snapshot{})), "authz_unavailable");
}

TEST(Snapshot, MustHaveEveryPiece) {
  const SmallEdge edge;
  const std::function<void(Snapshot&)> spoil[] = {
      [](Snapshot& s) { s.policy = nullptr; },
      [](Snapshot& s) { s.verifier = nullptr; },
      [](Snapshot& s) { s.restrictions_in_force = false; },
      [](Snapshot& s) { s.denylist = revocation::Snapshot{}; },
  };
  const std::string expected[] = {"authz_unavailable", "authz_unavailable", "denylist_stale",
                                  "denylist_stale"};
  for (std::size_t i = 0; i < std::size(spoil); ++i) {
    for (const Facts& facts : {ConnectFacts(), TunnelFacts(), TransparentFacts()}) {
      Snapshot snapshot = edge.Read();
      spoil[i](snapshot);
      EXPECT_EQ(Outcome(Decide(facts, snapshot)), expected[i]);
    }
  }
}

TEST(Allowed, OnEveryLegForALiveSessionAndAListedDestination) {
  EXPECT_EQ(Outcome(ConnectFacts()), "allowed");
  EXPECT_EQ(Outcome(TunnelFacts()), "allowed");
  EXPECT_EQ(Outcome(TransparentFacts()), "allowed");
}

TEST(Allowed, VerdictNamesSessionAndDestinationAndCarriesTheConnectToken) {
  const SmallEdge edge;
  const Snapshot snapshot = edge.Read();
  const Verdict connect = Decide(ConnectFacts(), snapshot);
  ASSERT_TRUE(connect.allowed);
  EXPECT_EQ(connect.claims->sid, "a");
  EXPECT_EQ(connect.destination, &snapshot.policy->destinations[0]);
  EXPECT_EQ(connect.presented_token, "A");
  EXPECT_EQ(Decide(TunnelFacts(), snapshot).presented_token, "");
}

TEST(Denied, VerdictNamesTheVerifiedSessionButNeverCarriesAToken) {
  const SmallEdge edge;
  Facts facts = ConnectFacts();
  facts.authority = "unlisted.test:443";
  const Verdict verdict = Decide(facts, edge.Read());
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.claims->sid, "a");
  EXPECT_EQ(verdict.presented_token, "");
  EXPECT_EQ(verdict.destination, nullptr);
}

TEST(Denied, VerdictNamesNoSessionWhenNoTokenVerified) {
  const SmallEdge edge;
  Facts facts = ConnectFacts();
  facts.proxy_authorization = "Bearer forged";
  EXPECT_EQ(Decide(facts, edge.Read()).claims, nullptr);
}

TEST(NativeVerification, MustNameTheSameSessionInside) {
  for (const std::string_view sid : {"", "b", "a ", "A"}) {
    Facts tunnel = TunnelFacts();
    Facts transparent = TransparentFacts();
    tunnel.metadata_sid = transparent.metadata_sid = sid;
    EXPECT_EQ(Outcome(tunnel), "token_invalid") << sid;
    EXPECT_EQ(Outcome(transparent), "token_invalid") << sid;
  }
}

TEST(Denylist, RefusesSessionTokenIdAndSubjectOnEveryLeg) {
  using revocation::Kind;
  for (const revocation::Entry& entry :
       {revocation::Entry{Kind::kSession, "a"}, revocation::Entry{Kind::kTokenId, "jti-a"},
        revocation::Entry{Kind::kSubject, "sub-a"}}) {
    SmallEdge edge;
    edge.denylist.Add(entry);
    EXPECT_EQ(Outcome(ConnectFacts(), edge), "session_revoked");
    EXPECT_EQ(Outcome(TunnelFacts(), edge), "session_revoked");
    EXPECT_EQ(Outcome(TransparentFacts(), edge), "session_revoked");
  }
}

TEST(Denylist, LeavesOtherSessionsAlone) {
  SmallEdge edge;
  edge.denylist.Add({revocation::Kind::kSession, "b"});
  edge.denylist.Add({revocation::Kind::kTokenId, "a"});
  EXPECT_EQ(Outcome(TunnelFacts(), edge), "allowed");
}

TEST(Denylist, OfEverythingRefusesEverything) {
  SmallEdge edge;
  edge.denylist.SetEverything(true);
  EXPECT_EQ(Outcome(TunnelFacts(), edge), "session_revoked");
}

TEST(Posture, DenyAllClosesEveryLeg) {
  SmallEdge edge;
  edge.policy.posture = policy::Posture::kDenyAll;
  for (const Facts& facts : {ConnectFacts(), TunnelFacts(), TransparentFacts()}) {
    EXPECT_EQ(Outcome(facts, edge), "posture_deny_all");
  }
}

TEST(Leg, ConnectCarriesNothingButConnect) {
  Facts facts = ConnectFacts();
  facts.method = "GET";
  EXPECT_EQ(Outcome(facts), "cleartext_not_allowed");
}

TEST(Leg, InsideATunnelThereIsNoConnect) {
  for (Facts facts : {TunnelFacts(), TransparentFacts()}) {
    for (const std::string_view method : {"CONNECT", "connect"}) {
      facts.method = method;
      EXPECT_EQ(Outcome(facts), "method_not_allowed");
    }
  }
}

struct AuthorityRow {
  std::string_view authority, connect, inside;
};

TEST(Authority, IsOneOfTheListedInAnySpellingThatMeansTheSame) {
  for (const AuthorityRow& row : {
           AuthorityRow{"api.test:443", "allowed", "allowed"},
           AuthorityRow{"api.test", "allowed", "allowed"},
           AuthorityRow{"API.Test:443", "allowed", "allowed"},
           AuthorityRow{"api.test.:443", "allowed", "allowed"},
           AuthorityRow{"api.test:8443", "allowed", "authority_mismatch"},
           AuthorityRow{"api.test:22", "port_not_allowed", "authority_mismatch"},
           AuthorityRow{"api.test:0", "request_malformed", "request_malformed"},
           AuthorityRow{"api.test:65536", "request_malformed", "request_malformed"},
           AuthorityRow{"api.test:00443", "request_malformed", "request_malformed"},
           AuthorityRow{"api.test:-1", "request_malformed", "request_malformed"},
           AuthorityRow{"api.test:", "request_malformed", "request_malformed"},
           AuthorityRow{"user@api.test:443", "request_malformed", "request_malformed"},
           AuthorityRow{"api.test%00:443", "request_malformed", "request_malformed"},
           AuthorityRow{"", "request_malformed", "request_malformed"},
           AuthorityRow{"*", "request_malformed", "request_malformed"},
           AuthorityRow{"xapi.test:443", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"api.test.evil:443", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"open.test:443", "allowed", "authority_mismatch"},
           AuthorityRow{"127.0.0.1:443", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"127.1", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"0x7f000001:443", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"[::ffff:10.0.0.1]:443", "destination_not_allowed", "authority_mismatch"},
           AuthorityRow{"[fe80::1%25lo]:443", "destination_not_allowed", "authority_mismatch"},
       }) {
    Facts connect = ConnectFacts();
    Facts tunnel = TunnelFacts();
    connect.authority = tunnel.authority = row.authority;
    EXPECT_EQ(Outcome(connect), row.connect) << row.authority;
    EXPECT_EQ(Outcome(tunnel), row.inside) << row.authority;
  }
}

struct NamesRow {
  std::string_view sni, target, host, expected;
};

TEST(Names, OfSniTargetAndHostMustAgreeInATunnel) {
  for (const NamesRow& row : {
           NamesRow{"api.test", "api.test:443", "api.test", "allowed"},
           NamesRow{"api.test", "API.test:443", "api.test:443", "allowed"},
           NamesRow{"api.test", "api.test:8443", "api.test:8443", "allowed"},
           NamesRow{"api.test", "api.test:8443", "api.test", "authority_mismatch"},
           NamesRow{"api.test", "api.test:443", "api.test:8443", "authority_mismatch"},
           NamesRow{"open.test", "api.test:443", "api.test", "authority_mismatch"},
           NamesRow{"api.test", "open.test:443", "api.test", "authority_mismatch"},
           NamesRow{"api.test", "api.test:443", "open.test", "authority_mismatch"},
           NamesRow{"", "api.test:443", "api.test", "authority_mismatch"},
           NamesRow{"api.test", "", "api.test", "authority_mismatch"},
           NamesRow{"api.test", "-", "api.test", "authority_mismatch"},
           NamesRow{"API.TEST", "api.test:443", "api.test", "authority_mismatch"},
       }) {
    Facts facts = TunnelFacts();
    facts.sni = row.sni;
    facts.tunnel_target = row.target;
    facts.authority = row.host;
    EXPECT_EQ(Outcome(facts), row.expected) << row.sni << " " << row.target << " " << row.host;
  }
}

TEST(Names, OfSniAndHostMustAgreeOnTheTransparentLeg) {
  for (const NamesRow& row : {
           NamesRow{"api.test", "", "api.test:443", "allowed"},
           NamesRow{"api.test", "", "api.test:8443", "allowed"},
           NamesRow{"api.test", "", "api.test:9", "port_not_allowed"},
           NamesRow{"open.test", "", "api.test", "authority_mismatch"},
           NamesRow{"", "", "api.test", "authority_mismatch"},
           NamesRow{"unlisted.test", "", "unlisted.test", "destination_not_allowed"},
       }) {
    Facts facts = TransparentFacts();
    facts.sni = row.sni;
    facts.authority = row.host;
    EXPECT_EQ(Outcome(facts), row.expected) << row.sni << " " << row.host;
  }
}

TEST(Grant, ChoosesAmongDestinationsOfOneHost) {
  SmallEdge edge;
  policy::Destination reading = DestinationOf("api.test", {443});
  policy::Destination writing = DestinationOf("api.test", {443}, "g");
  reading.name = "reading";
  writing.name = "writing";
  reading.allow = {{{.methods = {"GET"}, .path = {}}}};
  edge.policy.destinations = {writing, reading};
  const Snapshot snapshot = edge.Read();
  Facts facts = TunnelFacts();
  Verdict verdict = Decide(facts, snapshot);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.destination->name, "reading");
  facts.method = "POST";
  EXPECT_EQ(Decide(facts, snapshot).reason, Reason::kMethodNotAllowed);
  facts.tunnel_token = "Bearer G";
  facts.metadata_sid = "g";
  verdict = Decide(facts, snapshot);
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.destination->name, "writing");
  edge.policy.destinations = {writing};
  facts = ConnectFacts();
  EXPECT_EQ(Decide(facts, edge.Read()).reason, Reason::kGrantMissing);
}

TEST(Grant, OpensADestinationForItsHoldersOnly) {
  Facts facts = ConnectFacts();
  facts.authority = "grant.test:443";
  EXPECT_EQ(Outcome(facts), "grant_missing");
  facts.proxy_authorization = "Bearer G";
  EXPECT_EQ(Outcome(facts), "allowed");
}

std::string OutcomeAt(std::string_view host, std::string_view method, std::string_view path) {
  Facts facts = TransparentFacts();
  facts.sni = facts.authority = host;
  facts.method = method;
  facts.path = path;
  return Outcome(facts);
}

struct RuleRow {
  std::string_view method, path, expected;
};

TEST(AllowRules, JudgeThePathFirstAndThenTheMethod) {
  for (const RuleRow& row : {
           RuleRow{"POST", "/v1/messages", "allowed"},
           RuleRow{"POST", "/v1/messages?beta=1", "allowed"},
           RuleRow{"GET", "/v1/messages", "allowed"},
           RuleRow{"GET", "/v1/", "allowed"},
           RuleRow{"GET", "/v1", "path_not_allowed"},
           RuleRow{"GET", "/v10", "path_not_allowed"},
           RuleRow{"GET", "/", "path_not_allowed"},
           RuleRow{"POST", "/v1/other", "method_not_allowed"},
           RuleRow{"DELETE", "/v1/messages", "method_not_allowed"},
           RuleRow{"post", "/v1/messages", "method_not_allowed"},
           RuleRow{"PATCH", "/any", "allowed"},
           RuleRow{"GET", "/V1/x", "path_not_allowed"},
       }) {
    EXPECT_EQ(OutcomeAt("rules.test", row.method, row.path), row.expected)
        << row.method << " " << row.path;
  }
}

TEST(AllowRules, AreNotLookedAtForConnect) {
  Facts facts = ConnectFacts();
  facts.authority = "rules.test:443";
  EXPECT_EQ(Outcome(facts), "allowed");
}

TEST(AllowRules, OfAnEmptyListAllowNothing) {
  SmallEdge edge;
  edge.policy.destinations[0].allow.emplace();
  EXPECT_EQ(Outcome(TransparentFacts(), edge), "path_not_allowed");
}

TEST(Method, TraceAndTrackAreNeverAllowed) {
  for (const std::string_view method : {"TRACE", "TRACK", "trace", "Track"}) {
    EXPECT_EQ(OutcomeAt("open.test", method, "/"), "method_not_allowed");
    EXPECT_EQ(OutcomeAt("rules.test", method, "/any"), "method_not_allowed");
  }
}

TEST(Method, ThatIsNoTokenIsMalformed) {
  EXPECT_EQ(OutcomeAt("open.test", "", "/"), "request_malformed");
  EXPECT_EQ(OutcomeAt("open.test", "GET /", "/"), "request_malformed");
}

TEST(Path, ThatEnvoyWouldHaveNormalisedIsMalformedEvenWithoutRules) {
  for (const std::string_view path :
       {"", "*", "/a/../b", "/.;/", "/..;/x", "//", "/a%2fb", "/a%5Cb", "/a\\b", "/a#b", "/a\tb",
        "/pub/..%3b/v1", "/pub/%252e%252e/v1", "/pub/%25252e./v1", "/pub/%c0%ae%C0%AE/v1",
        "/pub/..%5cv1", "/pub/x%252f..%252fv1"}) {
    EXPECT_EQ(OutcomeAt("open.test", "GET", path), "request_malformed") << path;
    EXPECT_EQ(OutcomeAt("rules.test", "GET", path), "request_malformed") << path;
  }
}

TEST(Credential, ThatCannotBeAttachedStopsRequestsButNotConnect) {
  const SmallEdge edge;
  Snapshot snapshot = edge.Read();
  snapshot.unavailable_credentials = {"elsewhere", "key"};
  EXPECT_EQ(Outcome(Decide(TunnelFacts(), snapshot)), "credential_unavailable");
  EXPECT_EQ(Outcome(Decide(TransparentFacts(), snapshot)), "credential_unavailable");
  EXPECT_EQ(Outcome(Decide(ConnectFacts(), snapshot)), "allowed");
  snapshot.unavailable_credentials = {"elsewhere"};
  EXPECT_EQ(Outcome(Decide(TunnelFacts(), snapshot)), "allowed");
}

TEST(Address, AHostThatResolvesIntoTheDenySetIsRefusedAtConnectToo) {
  const SmallEdge edge;
  Snapshot snapshot = edge.Read();
  snapshot.denied_hosts = {"elsewhere.test", edge.policy.destinations.front().host};
  EXPECT_EQ(Outcome(Decide(ConnectFacts(), snapshot)), "address_denied");
  EXPECT_EQ(Outcome(Decide(TunnelFacts(), snapshot)), "address_denied");
  snapshot.denied_hosts = {"elsewhere.test"};
  EXPECT_EQ(Outcome(Decide(ConnectFacts(), snapshot)), "allowed");
}

TEST(Path, KeepsHonestEscapes) {
  for (const std::string_view path : {"/files/50%25.txt", "/a%20b", "/v1.2/x", "/...",
                                      "/.well-known/x", "/a;b=..", "/%E2%82%AC"}) {
    EXPECT_EQ(OutcomeAt("open.test", "GET", path), "allowed") << path;
  }
}

// One request with every fault at once; each repair shows the next reason, in order.
TEST(Precedence, IsTokenThenSessionThenPlaceThenRule) {
  SmallEdge edge;
  edge.policy.posture = policy::Posture::kDenyAll;
  edge.denylist.Add({revocation::Kind::kSession, "a"});
  Snapshot snapshot = edge.Read();
  snapshot.restrictions_in_force = false;
  snapshot.unavailable_credentials = {"key"};

  Facts facts = TransparentFacts();
  facts.duplicate_credentials = true;
  facts.authorization = "Bearer old";
  facts.metadata_sid = "b";
  facts.authority = "api.test:22";
  facts.sni = "open.test";
  facts.method = "TRACE";
  facts.path = "//";

  const auto expect = [&](const char* code) { EXPECT_EQ(Outcome(Decide(facts, snapshot)), code); };
  expect("denylist_stale");
  snapshot.restrictions_in_force = true;
  expect("token_invalid");
  facts.duplicate_credentials = false;
  expect("token_expired");
  facts.authorization = "Bearer A";
  expect("token_invalid");
  facts.metadata_sid = "a";
  expect("session_revoked");
  edge.denylist.Remove({revocation::Kind::kSession, "a"});
  snapshot.denylist = edge.denylist.Read();
  expect("posture_deny_all");
  edge.policy.posture = policy::Posture::kBump;
  edge.policy.destinations[0].grant = "g";
  snapshot.policy = edge.Read().policy;
  expect("authority_mismatch");
  facts.sni = "api.test";
  expect("port_not_allowed");
  facts.authority = "api.test";
  expect("grant_missing");
  edge.policy.destinations[0].grant = "";
  snapshot.policy = edge.Read().policy;
  expect("method_not_allowed");
  facts.method = "GET";
  expect("request_malformed");
  facts.path = "/";
  expect("credential_unavailable");
  snapshot.unavailable_credentials.clear();
  expect("allowed");
}

}  // namespace
}  // namespace exeat::authz
