// Random requests against a second, independent telling of the rules: each part of a request is
// drawn from a table that says by hand what that part means, and a request may pass only when every
// meaning fits.

#include <cstdint>
#include <random>
#include <string>

#include "authz/decision.h"
#include "authz/testing/small_edge.h"
#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

struct TokenPart {
  std::string_view token;
  std::string_view sid;  // empty: does not verify
};
constexpr TokenPart kTokens[] = {{"A", "a"}, {"A", "a"},  {"A2", "a"},    {"B", "b"},   {"G", "g"},
                                 {"", ""},   {"old", ""}, {"forged", ""}, {"other", ""}};

struct NamePart {
  std::string_view text;
  std::string_view host;  // what it means; empty: nothing that is listed
  std::uint16_t port;
};
constexpr NamePart kNames[] = {{"api.test", "api.test", 443},
                               {"api.test:443", "api.test", 443},
                               {"API.TEST:8443", "api.test", 8443},
                               {"api.test:22", "", 0},
                               {"open.test.", "open.test", 443},
                               {"rules.test", "rules.test", 443},
                               {"grant.test:443", "grant.test", 443},
                               {"unlisted.test", "", 0},
                               {"127.0.0.1", "", 0},
                               {"", "", 0}};
constexpr std::string_view kSnis[] = {"api.test",   "open.test",     "rules.test",
                                      "grant.test", "unlisted.test", ""};

struct LinePart {
  std::string_view method;
  std::string_view path;
  bool well_formed;
  bool fits_rules;  // rules.test permits it
};
constexpr LinePart kLines[] = {
    {"GET", "/v1/x", true, true},      {"POST", "/v1/messages?q", true, true},
    {"PUT", "/any", true, true},       {"POST", "/v1/x", true, false},
    {"GET", "/other", true, false},    {"TRACE", "/any", false, false},
    {"CONNECT", "/any", false, false}, {"GET", "/v1/../x", false, false},
    {"GET", "/v1/%2F", false, false},  {"GET", "", false, false}};

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : engine_(seed) {}
  template <class Part, std::size_t n>
  const Part& Pick(const Part (&parts)[n]) {
    return parts[std::uniform_int_distribution<std::size_t>(0, n - 1)(engine_)];
  }
  bool OneIn(int n) { return std::uniform_int_distribution<int>(1, n)(engine_) == 1; }

 private:
  std::mt19937 engine_;
};

// One request as drawn: what is sent, and what each part means.
struct Drawn {
  Leg leg = Leg::kConnect;
  TokenPart proxy, tunnel, header, bearer, key;
  NamePart host{}, target{};
  std::string_view sni, metadata_sid;
  LinePart line{};
  bool connect_method = false, duplicate = false, only_keys = false;
  // The edge.
  bool in_force = false, open = false, revoked_a = false, key_missing = false;
};

Drawn Draw(Dice& dice) {
  constexpr Leg kLegs[] = {Leg::kConnect, Leg::kTunnel, Leg::kTransparent};
  constexpr std::string_view kSids[] = {"a", "a", "b", "g", ""};
  Drawn drawn;
  drawn.leg = dice.Pick(kLegs);
  for (TokenPart* part : {&drawn.proxy, &drawn.tunnel, &drawn.bearer, &drawn.key}) {
    *part = dice.Pick(kTokens);
  }
  if (dice.OneIn(2)) drawn.header = dice.Pick(kTokens);
  drawn.host = dice.Pick(kNames);
  drawn.target = dice.OneIn(3) ? dice.Pick(kNames) : drawn.host;
  drawn.sni = dice.OneIn(3) || drawn.host.host.empty() ? dice.Pick(kSnis) : drawn.host.host;
  drawn.metadata_sid = dice.Pick(kSids);
  drawn.line = dice.Pick(kLines);
  drawn.connect_method = !dice.OneIn(10);
  drawn.duplicate = dice.OneIn(10);
  drawn.only_keys = dice.OneIn(2);
  drawn.in_force = !dice.OneIn(20);
  drawn.open = !dice.OneIn(20);
  drawn.revoked_a = dice.OneIn(10);
  drawn.key_missing = dice.OneIn(10);
  return drawn;
}

std::string_view SessionOf(const Drawn& drawn) {
  const bool header = !drawn.header.token.empty();
  if (drawn.leg == Leg::kConnect) return drawn.duplicate ? "" : drawn.proxy.sid;
  if (drawn.duplicate) {
    const bool harmless = drawn.only_keys && (header || drawn.leg == Leg::kTunnel);
    if (!harmless) return "";
  }
  if (drawn.leg == Leg::kTunnel) {
    return header && drawn.header.sid != drawn.tunnel.sid ? "" : drawn.tunnel.sid;
  }
  if (header) return drawn.header.sid;
  return !drawn.bearer.sid.empty() ? drawn.bearer.sid : drawn.key.sid;
}

bool MayPass(const Drawn& drawn) {
  const std::string_view sid = SessionOf(drawn);
  const std::string_view host = drawn.host.host;
  const bool session_live = !sid.empty() && !(drawn.revoked_a && sid == "a");
  const bool edge_open = drawn.in_force && drawn.open;
  const bool granted = host != "grant.test" || sid == "g";
  if (!session_live || !edge_open || host.empty() || !granted) return false;
  if (drawn.leg == Leg::kConnect) return drawn.connect_method;

  const bool target_same = drawn.target.host == host && drawn.target.port == drawn.host.port;
  return drawn.metadata_sid == sid && drawn.sni == host &&
         (drawn.leg == Leg::kTransparent || target_same) && drawn.line.well_formed &&
         (host != "rules.test" || drawn.line.fits_rules) &&
         !(host == "api.test" && drawn.key_missing);
}

Facts FactsOf(const Drawn& drawn, std::string_view proxy, std::string_view tunnel,
              std::string_view bearer) {
  Facts facts;
  facts.leg = drawn.leg;
  facts.method = drawn.line.method;
  if (drawn.leg == Leg::kConnect) facts.method = drawn.connect_method ? "CONNECT" : "GET";
  facts.authority = drawn.host.text;
  facts.path = drawn.line.path;
  facts.sni = drawn.sni;
  facts.tunnel_target = drawn.target.text;
  facts.proxy_authorization = proxy;
  facts.tunnel_token = tunnel;
  facts.session_header = drawn.header.token;
  facts.authorization = bearer;
  facts.api_key = drawn.key.token;
  facts.duplicate_credentials = drawn.duplicate;
  facts.only_key_places_repeat = drawn.only_keys;
  facts.metadata_sid = drawn.metadata_sid;
  return facts;
}

std::string Describe(const Facts& facts) {
  std::string text = "leg " + std::to_string(static_cast<int>(facts.leg));
  for (const std::string_view part :
       {facts.method, facts.authority, facts.path, facts.sni, facts.tunnel_target,
        facts.proxy_authorization, facts.tunnel_token, facts.session_header, facts.authorization,
        facts.api_key, facts.metadata_sid}) {
    text += " | " + std::string(part);
  }
  return text;
}

TEST(RandomRequests, PassExactlyWhenEveryConditionHolds) {
  SmallEdge edge;
  const Snapshot open = edge.Read();
  edge.policy.posture = policy::Posture::kDenyAll;
  const policy::PolicyPtr closed = edge.Read().policy;
  edge.denylist.Add({revocation::Kind::kSession, "a"});
  const revocation::Snapshot without_a = edge.denylist.Read();

  Dice dice(20260101);
  int passed = 0;
  for (int i = 0; i < 200'000; ++i) {
    const Drawn drawn = Draw(dice);
    Snapshot snapshot = open;
    snapshot.restrictions_in_force = drawn.in_force;
    if (!drawn.open) snapshot.policy = closed;
    if (drawn.revoked_a) snapshot.denylist = without_a;
    if (drawn.key_missing) snapshot.unavailable_credentials = {"key"};

    const std::string proxy = "Bearer " + std::string(drawn.proxy.token);
    const std::string tunnel = "Bearer " + std::string(drawn.tunnel.token);
    const std::string bearer = "Bearer " + std::string(drawn.bearer.token);
    const Facts facts = FactsOf(drawn, proxy, tunnel, bearer);
    const Verdict verdict = Decide(facts, snapshot);
    ASSERT_EQ(verdict.allowed, MayPass(drawn))
        << Describe(facts) << " -> " << Code(verdict.reason) << " at " << i;
    if (!verdict.allowed) {
      ASSERT_TRUE(verdict.presented_token.empty());
      continue;
    }
    ++passed;
    ASSERT_EQ(verdict.claims->sid, SessionOf(drawn));
    ASSERT_EQ(verdict.destination->host, drawn.host.host);
  }
  EXPECT_GT(passed, 2'000) << "too few requests pass to say anything";
}

// Whatever stands in the fields, no request passes whose token did not verify.
TEST(RandomBytes, NeverPass) {
  const SmallEdge edge;
  const Snapshot snapshot = edge.Read();
  std::mt19937 engine(7);
  std::uniform_int_distribution<int> byte(0, 255);
  std::uniform_int_distribution<std::size_t> length(0, 40);
  for (int i = 0; i < 50'000; ++i) {
    std::string noise[6];
    for (std::string& text : noise) {
      text.resize(length(engine));
      for (char& c : text) c = static_cast<char>(byte(engine));
    }
    Facts facts = TransparentFacts();
    facts.leg = static_cast<Leg>(i % 3);
    const std::string proxy = (i % 2 == 0 ? "Basic " : "") + noise[0];
    facts.proxy_authorization = proxy;
    facts.tunnel_token = noise[1];
    facts.authorization = noise[2];
    facts.api_key = noise[3];
    facts.authority = noise[4];
    facts.path = noise[5];
    ASSERT_FALSE(Decide(facts, snapshot).allowed);
  }
}

}  // namespace
}  // namespace exeat::authz
