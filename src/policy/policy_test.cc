#include "policy/policy.h"

#include <cstddef>
#include <random>
#include <string>
#include <utility>

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

TEST(Policy, TheFirstThatIsOpenToASessionServesIt) {
  Policy policy = TwoPorts();
  policy.destinations[0].grant = "write";
  policy.destinations.push_back(policy.destinations[0]);
  policy.destinations.back().name = "reading";
  policy.destinations.back().grant = "read";
  const auto served = [&](std::uint16_t port, const std::vector<std::string>& grants) {
    const Destination* searched = policy.FindFor("api.github.com", port, grants);
    const PolicyPtr shared = Share(policy);
    const Destination* found = shared->FindFor("api.github.com", port, grants);
    EXPECT_EQ(searched == nullptr, found == nullptr);
    if (searched == nullptr || found == nullptr) return std::string("none");
    EXPECT_EQ(searched->name, found->name);
    return found->name;
  };
  EXPECT_EQ(served(443, {"read"}), "reading");
  EXPECT_EQ(served(443, {"write"}), "main");
  EXPECT_EQ(served(443, {"read", "write"}), "main");
  EXPECT_EQ(served(443, {}), "main");  // and is refused there: it is not open to the session
  EXPECT_FALSE(policy.FindFor("api.github.com", 443, {})->IsOpenTo({}));
  EXPECT_EQ(served(9443, {}), "other");
  EXPECT_EQ(served(22, {"read"}), "none");
  EXPECT_EQ(policy.At("api.github.com", 443).size(), 2U);
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

// Hosts, names and ports from few letters, so that they repeat and nearly match.
Policy Random(std::mt19937& random) {
  const auto word = [&](std::size_t most) {
    std::string text(random() % (most + 1), 'a');
    for (char& letter : text) letter = "ab."[random() % 3];
    return text;
  };
  Policy policy;
  for (auto left = random() % 40; left > 0; --left) {
    Destination& destination = policy.destinations.emplace_back();
    destination.name = word(2);
    destination.host = word(3);
    for (auto ports = random() % 3; ports > 0; --ports) {
      destination.ports.push_back(static_cast<std::uint16_t>(random() % 4));
    }
    policy.credentials.emplace_back().name = word(2);
  }
  return policy;
}

// The n-th of its kind, so that values of two copies can be compared.
template <typename Entry>
std::ptrdiff_t Nth(const std::vector<Entry>& entries, const Entry* found) {
  return found == nullptr ? -1 : found - entries.data();
}

TEST(Policy, ASharedOneFindsExactlyWhatASearchFinds) {
  std::mt19937 random(1);  // the same words in every run
  std::vector<std::string> words = {""};
  for (std::size_t i = 0; i < words.size() && words[i].size() < 3; ++i) {
    for (const char letter : {'a', 'b', '.', 'c'}) words.push_back(words[i] + letter);
  }
  int found = 0;
  for (int round = 0; round < 200; ++round) {
    const Policy searched = Random(random);
    const PolicyPtr shared = Share(searched);
    ASSERT_TRUE(shared->directory.filled());
    for (const std::string& word : words) {
      for (std::uint16_t port = 0; port < 5; ++port) {
        const auto nth = Nth(searched.destinations, searched.Find(word, port));
        ASSERT_EQ(Nth(shared->destinations, shared->Find(word, port)), nth) << word << port;
        found += nth >= 0 ? 1 : 0;
      }
      ASSERT_EQ(shared->HasHost(word), searched.HasHost(word)) << word;
      ASSERT_EQ(shared->At(word).size(), searched.At(word).size()) << word;
      for (std::size_t i = 0; i < shared->At(word).size(); ++i) {
        ASSERT_EQ(Nth(shared->destinations, shared->At(word)[i]),
                  Nth(searched.destinations, searched.At(word)[i]));
      }
      ASSERT_EQ(Nth(shared->destinations, shared->FindDestination(word)),
                Nth(searched.destinations, searched.FindDestination(word)));
      ASSERT_EQ(Nth(shared->credentials, shared->FindCredential(word)),
                Nth(searched.credentials, searched.FindCredential(word)));
    }
  }
  EXPECT_GT(found, 1000);
}

TEST(Policy, ACopyOfASharedOneMayBeChangedAndIsSearched) {
  const PolicyPtr shared = Share(TwoPorts());
  Policy copy = *shared;
  copy.destinations[0].host = "gone.test";
  copy.destinations.emplace_back() = {.name = "new", .host = "new.test", .ports = {443}};
  EXPECT_EQ(copy.Find("api.github.com", 443), nullptr);
  EXPECT_EQ(copy.Find("new.test", 443), &copy.destinations.back());
  Policy assigned;
  assigned = *shared;
  assigned.credentials.clear();
  EXPECT_EQ(assigned.FindCredential("github"), nullptr);
  const Policy moved = std::move(copy);
  EXPECT_EQ(moved.Find("gone.test", 443), &moved.destinations[0]);
  EXPECT_EQ(shared->Find("api.github.com", 443), &shared->destinations[0]);
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
