#include "policy/policy.h"

#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

Policy TwoPorts() {
  Policy policy;
  Destination main;
  main.name = "main";
  main.host = "api.github.com";
  main.ports = {443};
  Destination other = main;
  other.name = "other";
  other.ports = {8443, 9443};
  policy.destinations = {main, other};
  policy.credentials.emplace_back().name = "github";
  return policy;
}

TEST(Policy, FindsByHostAndPort) {
  const Policy policy = TwoPorts();
  ASSERT_NE(policy.Find("api.github.com", 443), nullptr);
  EXPECT_EQ(policy.Find("api.github.com", 443)->name, "main");
  EXPECT_EQ(policy.Find("api.github.com", 9443)->name, "other");
  EXPECT_EQ(policy.Find("api.github.com", 22), nullptr);
  EXPECT_TRUE(policy.HasHost("api.github.com"));
}

TEST(Policy, NeverFindsALookAlike) {
  const Policy policy = TwoPorts();
  for (const std::string_view host :
       {"api-github.com", "xapi.github.com", "api.github.com.evil", "github.com", "", "com",
        "api.github.com.", "API.github.com", "evil.api.github.com"}) {
    EXPECT_EQ(policy.Find(host, 443), nullptr) << host;
    EXPECT_FALSE(policy.HasHost(host)) << host;
  }
}

TEST(Policy, ADefaultConstructedOneDeniesEverything) {
  Policy policy;
  EXPECT_EQ(policy.posture, Posture::kDenyAll);
  policy.destinations.emplace_back();
  policy.credentials.emplace_back();
  EXPECT_EQ(policy.Find("", 0), nullptr);
  EXPECT_FALSE(policy.HasHost(""));
  EXPECT_EQ(policy.FindCredential(""), nullptr);
}

TEST(Policy, FindsCredentialsByName) {
  const Policy policy = TwoPorts();
  EXPECT_EQ(policy.FindCredential("github"), &policy.credentials[0]);
  EXPECT_EQ(policy.FindCredential("gitlab"), nullptr);
}

TEST(Policy, AMovedLineIsNoChange) {
  Policy a = TwoPorts();
  Policy b = TwoPorts();
  b.destinations[0].line = 7;
  b.credentials[0].line = 9;
  EXPECT_EQ(a.destinations, b.destinations);
  EXPECT_EQ(a.credentials, b.credentials);
  EXPECT_EQ((ImportedCa{"c", "k", 1, 2}), (ImportedCa{"c", "k", 3, 4}));
}

TEST(Policy, EveryOtherFieldIsAChange) {
  const Destination base = TwoPorts().destinations[0];
  const auto changed = [&](auto change) {
    Destination other = base;
    change(other);
    return other != base;
  };
  EXPECT_TRUE(changed([](Destination& d) { d.name = "x"; }));
  EXPECT_TRUE(changed([](Destination& d) { d.host = "x"; }));
  EXPECT_TRUE(changed([](Destination& d) { d.ports.push_back(1); }));
  EXPECT_TRUE(changed([](Destination& d) { d.credential = "x"; }));
  EXPECT_TRUE(changed([](Destination& d) { d.grant = "x"; }));
  EXPECT_TRUE(changed([](Destination& d) { d.allow.emplace(); }));
  EXPECT_TRUE(changed([](Destination& d) { d.limits.emplace(); }));
  const Credential credential = TwoPorts().credentials[0];
  const auto changed_credential = [&](auto change) {
    Credential other = credential;
    change(other);
    return other != credential;
  };
  EXPECT_TRUE(changed_credential([](Credential& c) { c.name = "x"; }));
  EXPECT_TRUE(changed_credential([](Credential& c) { c.kind = CredentialKind::kBasic; }));
  EXPECT_TRUE(changed_credential([](Credential& c) { c.header = "x"; }));
  EXPECT_TRUE(changed_credential([](Credential& c) { c.username = "x"; }));
  EXPECT_TRUE(changed_credential([](Credential& c) { c.file = "x"; }));
  EXPECT_TRUE(changed_credential([](Credential& c) { c.hosts = {"x"}; }));
}

}  // namespace
}  // namespace exeat::policy
