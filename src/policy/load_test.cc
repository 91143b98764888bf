#include "policy/load.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Five lines that every policy of these tests starts with; what is tried begins on line 6.
constexpr std::string_view kHead =
    "version: 1\n"
    "deployment: test\n"
    "listeners: {proxy: 127.0.0.1:0}\n"
    "resolver: {upstream: [192.0.2.53:53]}\n"
    "posture: bump\n";

LoadResult LoadText(std::string_view text) { return Load(text, "exeat.yaml", "/etc/exeat"); }
LoadResult LoadTail(std::string_view tail) {
  return LoadText(std::string(kHead) + std::string(tail));
}

std::vector<std::string> Texts(const LoadResult& result) {
  std::vector<std::string> texts;
  for (const Mistake& mistake : result.mistakes) texts.push_back(mistake.ToString());
  return texts;
}

// The one mistake of a tail, as text.
std::string Only(const LoadResult& result) {
  EXPECT_EQ(result.mistakes.size(), 1U) << testing::PrintToString(Texts(result));
  return result.mistakes.empty() ? "" : result.mistakes[0].ToString();
}
std::string OnlyOf(std::string_view tail) { return Only(LoadTail(tail)); }

constexpr std::string_view kWhole = R"(version: 1
deployment: acme-dev
state: ./state
listeners:
  proxy: 127.0.0.1:3128
  transparent: "[::1]:3129"
posture: bump
sessions: {max_lifetime: 15m, skew: 0s}
resolver:
  upstream: [192.0.2.53:53, "[2001:db8::53]:5353"]
  hosts: {Origin.Example.: [127.0.0.1, "::1"]}
  allow_private: [127.0.0.0/8]
upstream_trust: trust/../roots.pem
ca: {certificate: ca.crt, key: /keys/ca.key}
credentials:
- {name: anthropic, kind: header, header: x-api-key, source: {file: secrets/anthropic}}
- {name: openai, kind: bearer, source: {file: /run/secrets/openai}, hosts: [API.openai.com, b.ex]}
- {name: git, kind: basic, username: x-access-token, source: {file: /run/secrets/gh}}
destinations:
- {name: anthropic, host: api.anthropic.com, ports: [8443, 443], credential: anthropic, grant: ai,
   allow: [{methods: [POST, GET], path: /v1/**}, {path: /health}, {methods: [PROPFIND]}],
   limits: {requests_per_minute: 60}}
- {name: openai, host: api.openai.com, credential: openai, mode: bump, authorize: request}
- {name: origin, host: ORIGIN.example}
limits: {requests_per_minute: 600, burst: 50}
audit: {dir: /var/log/exeat}
store: sqlite
ratelimit: local
)";

TEST(Load, ReadsEveryKeyOfThisVersion) {
  const LoadResult result = LoadText(kWhole);
  ASSERT_THAT(Texts(result), IsEmpty());
  const Policy& policy = result.policy;
  EXPECT_EQ(policy.deployment, "acme-dev");
  EXPECT_EQ(policy.state_dir, "/etc/exeat/state");
  EXPECT_EQ(policy.listeners.proxy->ToString(), "127.0.0.1:3128");
  EXPECT_EQ(policy.listeners.transparent->ToString(), "[::1]:3129");
  EXPECT_EQ(policy.posture, Posture::kBump);
  EXPECT_EQ(policy.sessions.max_lifetime, std::chrono::minutes(15));
  EXPECT_EQ(policy.sessions.skew, std::chrono::seconds(0));
  ASSERT_EQ(policy.resolver.upstream.size(), 2U);
  EXPECT_EQ(policy.resolver.upstream[1].ToString(), "[2001:db8::53]:5353");
  ASSERT_TRUE(policy.resolver.hosts.contains("origin.example"));
  EXPECT_EQ(policy.resolver.hosts.at("origin.example").size(), 2U);
  EXPECT_EQ(policy.resolver.allow_private.at(0).ToString(), "127.0.0.0/8");
  EXPECT_EQ(policy.upstream_trust, "/etc/exeat/roots.pem");
  EXPECT_EQ(policy.ca->certificate, "/etc/exeat/ca.crt");
  EXPECT_EQ(policy.ca->key, "/keys/ca.key");
  EXPECT_EQ(policy.limits->requests_per_minute, 600U);
  EXPECT_EQ(policy.limits->burst, 50U);
  EXPECT_EQ(policy.audit_dir, "/var/log/exeat");
}

TEST(Load, ReadsCredentialsAndDestinations) {
  const Policy policy = LoadText(kWhole).policy;
  ASSERT_EQ(policy.credentials.size(), 3U);
  EXPECT_EQ(policy.credentials[0].kind, CredentialKind::kHeader);
  EXPECT_EQ(policy.credentials[0].header, "x-api-key");
  EXPECT_EQ(policy.credentials[0].file, "/etc/exeat/secrets/anthropic");
  EXPECT_EQ(policy.credentials[0].line, 16);
  EXPECT_EQ(policy.credentials[1].header, "authorization");
  EXPECT_THAT(policy.credentials[1].hosts, ElementsAre("api.openai.com", "b.ex"));
  EXPECT_EQ(policy.credentials[2].username, "x-access-token");
  ASSERT_EQ(policy.destinations.size(), 3U);
  const Destination& first = policy.destinations[0];
  EXPECT_THAT(first.ports, ElementsAre(443, 8443));
  EXPECT_EQ(first.credential, "anthropic");
  EXPECT_EQ(first.grant, "ai");
  EXPECT_EQ(first.line, 20);
  ASSERT_EQ(first.allow->size(), 3U);
  EXPECT_TRUE((*first.allow)[0].path->is_prefix());
  EXPECT_TRUE((*first.allow)[1].methods.empty());
  EXPECT_FALSE((*first.allow)[2].path);
  EXPECT_EQ(first.limits->burst, 60U);
  EXPECT_FALSE(policy.destinations[1].allow);
  EXPECT_THAT(policy.destinations[1].ports, ElementsAre(443));
  EXPECT_EQ(policy.destinations[2].host, "origin.example");
}

TEST(Load, ASilentFilePermitsNothing) {
  const LoadResult result =
      LoadText("version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n");
  ASSERT_THAT(Texts(result), IsEmpty());
  EXPECT_EQ(result.policy.posture, Posture::kDenyAll);
  EXPECT_TRUE(result.policy.destinations.empty());
  EXPECT_EQ(result.policy.state_dir, "/etc/exeat/state");
  EXPECT_EQ(result.policy.audit_dir, "/etc/exeat/state/audit");
  EXPECT_EQ(result.policy.upstream_trust, "/etc/ssl/certs/ca-certificates.crt");
  EXPECT_EQ(result.policy.sessions.max_lifetime, std::chrono::hours(1));
  EXPECT_EQ(result.policy.sessions.skew, std::chrono::seconds(5));
}

TEST(Load, AnEmptyFileDoesNotLoad) {
  for (const std::string_view text : {"", "# nothing\n", "---\n", "~\n", "[]\n", "policy\n"}) {
    EXPECT_FALSE(LoadText(text).ok()) << text;
  }
  EXPECT_THAT(Texts(LoadText("{}")),
              ElementsAre(HasSubstr("exeat.yaml: version: is missing"),
                          HasSubstr("deployment: is missing"), HasSubstr("listeners: is missing")));
}

TEST(Load, AMistakeLeavesAPolicyThatDeniesEverything) {
  const LoadResult result = LoadTail("destinations: [{name: a, host: a.example}]\nunknown: 1\n");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.policy.posture, Posture::kDenyAll);
  EXPECT_TRUE(result.policy.destinations.empty());
}

TEST(Load, TellsEveryMistakeInOneGoInLineOrder) {
  EXPECT_THAT(
      Texts(LoadText("version: 2\n"
                     "deployment: Bad Name\n"
                     "listeners: {proxy: localhost:1}\n"
                     "destinations:\n"
                     "- {name: a, host: 10.0.0.1}\n"
                     "- {name: a, host: b.example, allow: []}\n"
                     "limits: {requests_per_minute: 0}\n")),
      ElementsAre(HasSubstr("exeat.yaml:1: version: this exeat reads version 1"),
                  HasSubstr("exeat.yaml:2: deployment: \"Bad Name\""),
                  HasSubstr("exeat.yaml:3: listeners.proxy: \"localhost:1\" is not IP:PORT"),
                  HasSubstr("exeat.yaml:5: destinations[0].host: \"10.0.0.1\" is an address"),
                  HasSubstr("exeat.yaml:6: destinations[1].allow: must not be empty"),
                  HasSubstr("exeat.yaml:6: destinations[1].name: a is taken"),
                  HasSubstr("exeat.yaml:6: destinations[1].host: nothing resolves b.example"),
                  HasSubstr("exeat.yaml:7: limits.requests_per_minute: expected a whole number")));
}

TEST(Load, APostureThatIsNoneIsShown) {
  const std::string before = "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n";
  EXPECT_EQ(Only(LoadText(before + "posture: dump\n")),
            "exeat.yaml:4: posture: expected bump | deny-all, found \"dump\"");
  EXPECT_THAT(Only(LoadText(before + "posture: true\n")), HasSubstr("found \"true\""));
  EXPECT_THAT(Only(LoadText(before + "posture: [bump]\n")), HasSubstr("expected text"));
}

TEST(Load, SuggestsTheNearestKey) {
  EXPECT_THAT(OnlyOf("destinatons: []\n"),
              HasSubstr("exeat.yaml:6: destinatons: unknown key; did you mean \"destinations\"?"));
  EXPECT_THAT(OnlyOf("destinations: [{name: a, host: a.example, port: [443]}]\n"),
              HasSubstr("destinations[0].port: unknown key; did you mean \"ports\"?"));
  EXPECT_THAT(OnlyOf("sessions: {completely_else: 1}\n"),
              HasSubstr("unknown key; here stand: max_lifetime, skew"));
  EXPECT_THAT(OnlyOf("<<: {posture: bump}\n"), HasSubstr("unknown key"));
}

TEST(Load, RefusesARepeatedKeyAndNamesBothLines) {
  EXPECT_THAT(OnlyOf("posture: deny-all\n"),
              HasSubstr("exeat.yaml:6: posture: stands twice; the first is on line 5"));
  EXPECT_THAT(OnlyOf("destinations:\n- name: a\n  host: a.example\n  host: b.example\n"),
              HasSubstr("exeat.yaml:9: destinations[0].host: stands twice"));
}

TEST(Load, RefusesYamlMistakesWithTheirLine) {
  EXPECT_THAT(OnlyOf("\tlimits: {}\n"), HasSubstr("exeat.yaml:6: a tab in the indentation"));
  EXPECT_THAT(OnlyOf("limits: {requests_per_minute: 1\n"), HasSubstr("exeat.yaml:"));
  EXPECT_THAT(OnlyOf("---\nversion: 1\n"), HasSubstr("exeat.yaml:6: a second YAML document"));
}

TEST(Load, RefusesEmptyValuesAndWrongShapes) {
  for (const std::string_view tail : {"destinations:\n",
                                      "destinations: {a: b}\n",
                                      "destinations: x\n",
                                      "credentials: {}\n",
                                      "limits: []\n",
                                      "limits:\n",
                                      "limits: {}\n",
                                      "sessions: 5\n",
                                      "audit: x\n",
                                      "audit: {dir: }\n",
                                      "audit: {dir: [x]}\n",
                                      "state: 5\n",
                                      "state: ''\n",
                                      "state: ~/x\n",
                                      "upstream_trust: true\n",
                                      "ca: {}\n",
                                      "ca: {certificate: a}\n",
                                      "destinations: [~]\n",
                                      "destinations: [x]\n",
                                      "store: mysql\n",
                                      "ratelimit: redis\n",
                                      "state: \"a\\0b\"\n",
                                      "state: \"a\\nb\"\n"}) {
    EXPECT_FALSE(LoadTail(tail).ok()) << tail;
  }
}

TEST(Load, TextThatYamlTakesForSomethingElseNeedsQuotes) {
  for (const std::string_view value : {"443", "-1", "+1", "1.5", "1e3", ".5", "0x1f", "0o17",
                                       "true", "False", ".inf", "-.inf", ".nan"}) {
    EXPECT_THAT(OnlyOf("state: " + std::string(value) + "\n"), HasSubstr("in quotes")) << value;
    EXPECT_TRUE(LoadTail("state: \"" + std::string(value) + "\"\n").ok()) << value;
  }
  for (const std::string_view value : {"1.2.3", "0x", "e3", ".", "-", "+", "nan", "1e", "12ab"}) {
    EXPECT_TRUE(LoadTail("state: \"" + std::string(value) + "\"\n").ok()) << value;
  }
}

TEST(LoadVersion, IsOneAsANumber) {
  for (const std::string_view version : {"2", "0", "\"1\"", "1.0", "one", "[1]", "01", "+1"}) {
    EXPECT_FALSE(LoadText("version: " + std::string(version) +
                          "\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n")
                     .ok())
        << version;
  }
}

TEST(LoadListeners, NeedAtLeastOneAndNoTwoOnOneAddress) {
  const auto load = [](std::string_view listeners) {
    return LoadText("version: 1\ndeployment: d\nlisteners: " + std::string(listeners) + "\n");
  };
  EXPECT_TRUE(load("{transparent: 127.0.0.1:3129}").ok());
  EXPECT_TRUE(load("{proxy: 127.0.0.1:0, transparent: 127.0.0.1:0}").ok());
  EXPECT_TRUE(load("{proxy: 127.0.0.1:1, transparent: 127.0.0.2:1}").ok());
  EXPECT_TRUE(load("{proxy: 127.0.0.1:1, transparent: '[::1]:1'}").ok());
  EXPECT_THAT(Only(load("{}")), HasSubstr("names no listener"));
  EXPECT_THAT(Only(load("{proxy: 127.0.0.1:1, transparent: 127.0.0.1:1}")),
              HasSubstr("listen on one address"));
  EXPECT_THAT(Only(load("{proxy: 0.0.0.0:1, transparent: 127.0.0.1:1}")),
              HasSubstr("listen on one address"));
  for (const std::string_view bad : {"3128", "':3128'", "localhost:3128", "127.0.0.1",
                                     "127.0.0.1:65536", "127.1:80", "'[fe80::1%lo]:80'"}) {
    EXPECT_FALSE(load("{proxy: " + std::string(bad) + "}").ok()) << bad;
  }
}

TEST(LoadSessions, DurationsCarryAUnitAndStayInRange) {
  const auto lifetime = [](std::string_view value) {
    return LoadTail("sessions: {max_lifetime: " + std::string(value) + "}\n");
  };
  EXPECT_EQ(lifetime("1s").policy.sessions.max_lifetime.count(), 1);
  EXPECT_EQ(lifetime("60m").policy.sessions.max_lifetime.count(), 3600);
  EXPECT_EQ(lifetime("1h").policy.sessions.max_lifetime.count(), 3600);
  EXPECT_THAT(Only(lifetime("900")), HasSubstr("write 900s, 900m or 900h"));
  for (const std::string_view bad :
       {"0s", "61m", "2h", "3601s", "-1s", "1.5m", "1d", "m", "15 m", "015m", "15M", "1h30m",
        "99999999999999999999h", "''", "[1m]", "999999999h"}) {
    EXPECT_FALSE(lifetime(bad).ok()) << bad;
  }
  EXPECT_EQ(LoadTail("sessions: {skew: 60s}\n").policy.sessions.skew.count(), 60);
  EXPECT_FALSE(LoadTail("sessions: {skew: 61s}\n").ok());
}

TEST(LoadResolver, SaysWhichRangeWasMeant) {
  EXPECT_THAT(Only(LoadText("version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n"
                            "resolver: {allow_private: [10.1.2.3/8]}\n")),
              HasSubstr("exeat.yaml:4: resolver.allow_private[0]: \"10.1.2.3/8\" has bits set "
                        "after its prefix; 10.0.0.0/8 was probably meant"));
}

TEST(LoadResolver, RefusesBadRangesServersAndAnswers) {
  const auto load = [](std::string_view resolver) {
    return LoadText("version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\nresolver: " +
                    std::string(resolver) + "\n");
  };
  EXPECT_TRUE(load("{}").ok());
  EXPECT_TRUE(load("{hosts: {}, allow_private: []}").ok());
  for (const std::string_view bad :
       {"{allow_private: [10.0.0.0/33]}", "{allow_private: [0.0.0.0/0]}",
        "{allow_private: ['::/0']}", "{allow_private: [private]}",
        "{allow_private: [10.0.0.1-10.0.0.9]}", "{allow_private: 10.0.0.0/8}", "{upstream: []}",
        "{upstream: [dns.example:53]}", "{upstream: [192.0.2.53:0]}", "{upstream: 192.0.2.53:53}",
        "{hosts: {a.example: []}}", "{hosts: {a.example: 192.0.2.1}}",
        "{hosts: {a.example: [b.example]}}", "{hosts: {a.example: ['fe80::1%lo']}}",
        "{hosts: {a_b.example: [192.0.2.1]}}", "{hosts: {10.0.0.1: [192.0.2.1]}}",
        "{hosts: {'': [192.0.2.1]}}", "{hosts: {A.example: [192.0.2.1], a.example.: [192.0.2.2]}}",
        "{hosts: []}"}) {
    EXPECT_EQ(load(bad).mistakes.size(), 1U) << bad << testing::PrintToString(Texts(load(bad)));
  }
  EXPECT_THAT(Only(load("{upstream: [192.0.2.53]}")), HasSubstr("write \"192.0.2.53:53\""));
  EXPECT_THAT(Only(load("{upstream: ['2001:db8::1']}")), HasSubstr("write \"[2001:db8::1]:53\""));
}

TEST(LoadResolver, EveryListedHostMustResolve) {
  const std::string head = "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n";
  const std::string destinations =
      "destinations: [{name: a, host: A.example}, {name: b, host: b.example}]\n";
  EXPECT_THAT(Only(LoadText(head + "resolver: {hosts: {a.example: [192.0.2.1]}}\n" + destinations)),
              HasSubstr("exeat.yaml:5: destinations[1].host: nothing resolves b.example"));
  EXPECT_EQ(LoadText(head + destinations).mistakes.size(), 2U);
  EXPECT_TRUE(LoadText(head + "resolver: {hosts: {a.example: [192.0.2.1], b.example: [::1]}}\n" +
                       destinations)
                  .ok());
}

TEST(LoadHost, IsAnExactName) {
  const auto load = [](std::string_view host) {
    return LoadTail("destinations: [{name: a, host: " + std::string(host) + "}]\n");
  };
  EXPECT_EQ(load("API.Example.COM.").policy.destinations.at(0).host, "api.example.com");
  EXPECT_EQ(load("b\u00fccher.example").policy.destinations.at(0).host, "xn--bcher-kva.example");
  for (const std::string_view bad : {"127.0.0.1",
                                     "127.1",
                                     "\"2130706433\"",
                                     "0x7f.1",
                                     "\"0x7f000001\"",
                                     "0177.0.0.1",
                                     "\"::1\"",
                                     "\"[::1]\"",
                                     "\"::ffff:127.0.0.1\"",
                                     "\"64:ff9b::7f00:1\"",
                                     "\"fe80::1%lo\"",
                                     "user@a.example",
                                     "a.example:443",
                                     "https://a.example",
                                     "a.example/x",
                                     "\"a%00.example\"",
                                     "\"a\\0.example\"",
                                     "\"a\\t.example\"",
                                     "a_b.example",
                                     "\"a*.example\"",
                                     "\"*\"",
                                     "\"[a.example]\"",
                                     "a..example",
                                     "\"\"",
                                     "example.7",
                                     "[a.example]"}) {
    EXPECT_EQ(load(bad).mistakes.size(), 1U) << bad << testing::PrintToString(Texts(load(bad)));
  }
  EXPECT_FALSE(load(std::string(254, 'a')).ok());
}

TEST(LoadDestination, RefusesListsWhoseEmptinessWouldWiden) {
  const auto load = [](std::string_view more) {
    return LoadTail("destinations: [{name: a, host: a.example, " + std::string(more) + "}]\n");
  };
  EXPECT_THAT(Only(load("allow: []")), HasSubstr("destinations[0].allow: must not be empty"));
  EXPECT_THAT(Only(load("ports: []")), HasSubstr("destinations[0].ports: must not be empty"));
  EXPECT_THAT(Only(load("allow: [{methods: []}]")), HasSubstr("allow[0].methods: must not be"));
  EXPECT_THAT(Only(load("allow: [{}]")), HasSubstr("would permit everything"));
  EXPECT_THAT(Only(load("limits: {}")), HasSubstr("limits.requests_per_minute: is missing"));
  EXPECT_THAT(Only(load("limits: {burst: 5}")), HasSubstr("requests_per_minute: is missing"));
  EXPECT_THAT(Only(load("grant: ''")), HasSubstr("grant: must not be empty"));
  EXPECT_THAT(Only(load("credential: ''")), HasSubstr("credential: must not be empty"));
}

TEST(LoadDestination, RefusesBadPortsMethodsAndPaths) {
  const auto load = [](std::string_view more) {
    return LoadTail("destinations: [{name: a, host: a.example, " + std::string(more) + "}]\n");
  };
  for (const std::string_view bad : {"ports: [0]",
                                     "ports: [65536]",
                                     "ports: [-1]",
                                     "ports: [00443]",
                                     "ports: ['443']",
                                     "ports: [443, 443]",
                                     "ports: 443",
                                     "ports: [https]",
                                     "ports: [4.43]",
                                     "allow: [{methods: [get]}]",
                                     "allow: [{methods: [CONNECT]}]",
                                     "allow: [{methods: [TRACE]}]",
                                     "allow: [{methods: [TRACK]}]",
                                     "allow: [{methods: ['*']}]",
                                     "allow: [{methods: [GET, GET]}]",
                                     "allow: [{methods: GET}]",
                                     "allow: [{methods: ['GET ']}]",
                                     "allow: [{path: v1}]",
                                     "allow: [{path: /v1?x}]",
                                     "allow: [{path: /v1/*}]",
                                     "allow: [{path: /v1/../x}]",
                                     "allow: [{path: /..;/x}]",
                                     "allow: [{path: /v1%2fx}]",
                                     "allow: [{path: //x}]",
                                     "allow: [{path: '/v1#x'}]",
                                     "allow: [{path: [/v1]}]",
                                     "grant: Admin",
                                     "grant: a b",
                                     "limits: {requests_per_minute: 1, burst: 0}",
                                     "limits: {requests_per_minute: 99999999999}"}) {
    EXPECT_EQ(load(bad).mistakes.size(), 1U) << bad << testing::PrintToString(Texts(load(bad)));
  }
  EXPECT_THAT(Only(load("allow: [{methods: [post]}]")), HasSubstr("upper case: POST"));
  EXPECT_THAT(Only(load("allow: [{methods: [TRACE]}]")), HasSubstr("always refused"));
}

TEST(LoadDestination, NamesAreUnique) {
  EXPECT_THAT(OnlyOf("destinations:\n- {name: a, host: a.example}\n- {name: a, host: b.example}\n"),
              HasSubstr("exeat.yaml:8: destinations[1].name: a is taken by the destination on "
                        "line 7"));
  EXPECT_THAT(OnlyOf("credentials:\n- {name: k, kind: bearer, source: {file: a}}\n"
                     "- {name: k, kind: bearer, source: {file: b}}\n"),
              HasSubstr("exeat.yaml:8: credentials[1].name: k is taken by the credential on "
                        "line 7"));
}

}  // namespace
}  // namespace exeat::policy
