#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

using testing::HasSubstr;
using testing::Not;

LoadResult LoadTail(std::string_view tail) {
  return Load(
      "version: 1\ndeployment: test\nlisteners: {proxy: 127.0.0.1:0}\n"
      "resolver: {upstream: [192.0.2.53:53]}\n" +
          std::string(tail),
      "exeat.yaml", "/etc/exeat");
}

std::string Only(const LoadResult& result) {
  std::string all;
  for (const Mistake& mistake : result.mistakes) all += mistake.ToString() + "\n";
  EXPECT_EQ(result.mistakes.size(), 1U) << all;
  return all;
}

std::string OnlyOfCredential(std::string_view fields) {
  return Only(LoadTail("credentials: [{name: k, " + std::string(fields) + "}]\n"));
}

TEST(LoadCredential, NeedsWhatItsKindNeeds) {
  EXPECT_THAT(OnlyOfCredential("source: {file: f}"), HasSubstr("credentials[0].kind: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer"), HasSubstr("credentials[0].source: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, source: {}"), HasSubstr("source.file: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: header, source: {file: f}"),
              HasSubstr("credentials[0].header: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: basic, source: {file: f}"),
              HasSubstr("credentials[0].username: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, header: x-key, source: {file: f}"),
              HasSubstr("only with kind: header"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, username: u, source: {file: f}"),
              HasSubstr("only with kind: basic"));
  EXPECT_THAT(OnlyOfCredential("kind: cookie, source: {file: f}"),
              HasSubstr("expected header | bearer | basic"));
  EXPECT_THAT(OnlyOfCredential("kind: aws_sigv4, region: eu-west-1, source: {file: f}"),
              HasSubstr("credentials[0].service: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: aws_sigv4, service: s3, source: {file: f}"),
              HasSubstr("credentials[0].region: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: aws_sigv4, service: S3, region: r, source: {file: f}"),
              HasSubstr("\"S3\" is no service"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, region: r, source: {file: f}"),
              HasSubstr("only with kind: aws_sigv4"));
  EXPECT_THAT(OnlyOfCredential("kind: mtls, source: {key: k}"),
              HasSubstr("credentials[0].source.certificate: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: mtls, source: {certificate: c}"),
              HasSubstr("credentials[0].source.key: is missing"));
  EXPECT_THAT(OnlyOfCredential("kind: mtls, source: {certificate: c, key: k, file: f}"),
              HasSubstr("a certificate and a key instead"));
  EXPECT_THAT(OnlyOfCredential("kind: mtls, header: x, source: {certificate: c, key: k}"),
              HasSubstr("only with kind: header"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, source: {file: f, key: k}"),
              HasSubstr("only with kind: mtls"));
  EXPECT_THAT(OnlyOfCredential("kind: basic, username: 'a:b', source: {file: f}"),
              HasSubstr("must not hold ':'"));
}

TEST(LoadCredential, TheHeaderIsALowerCaseTokenThatCarriesNothingElse) {
  const auto load = [](std::string_view header) {
    return LoadTail("credentials: [{name: k, kind: header, header: \"" + std::string(header) +
                    "\", source: {file: f}}]\n");
  };
  for (const std::string_view good : {"x-api-key", "authorization", "api-key", "x_key", "cookie"}) {
    EXPECT_TRUE(load(good).ok()) << good;
  }
  EXPECT_THAT(Only(load("X-Api-Key")), HasSubstr("lower case: \"x-api-key\""));
  for (const std::string_view bad :
       {"host", ":path", ":authority", "connection", "content-length", "transfer-encoding", "te",
        "upgrade", "x-exeat-session", "x-envoy-original-path", "x-request-id", "x-deny-reason",
        "x key", "x-key:", "x-key\\r\\n", "", "x-forwarded-for", "proxy-authorization", "\u00fc"}) {
    EXPECT_EQ(load(bad).mistakes.size(), 1U) << bad;
  }
}

TEST(LoadCredential, NeverPrintsASecretThatStandsInTheWrongPlace) {
  for (const std::string_view fields :
       {"kind: bearer, source: sk-secret", "kind: bearer, source: {file: [sk-secret]}",
        "kind: bearer, value: sk-secret, source: {file: f}",
        "kind: basic, username: 'u:sk-secret', source: {file: f}",
        "kind: sk-secret, source: {file: f}", "kind: bearer, source: {fil: sk-secret, file: f}"}) {
    EXPECT_THAT(OnlyOfCredential(fields), Not(HasSubstr("sk-secret"))) << fields;
  }
  EXPECT_THAT(Only(LoadTail("store: mysql://user:sk-secret@db/exeat\n")),
              Not(HasSubstr("sk-secret")));
  EXPECT_THAT(Only(LoadTail("store: postgresql://user:sk-secret@db/exeat\n")),
              Not(HasSubstr("sk-secret")));
}

TEST(LoadCredential, MustExistWhereItIsNamed) {
  EXPECT_THAT(Only(LoadTail("credentials: [{name: k, kind: bearer, source: {file: f}}]\n"
                            "destinations: [{name: a, host: a.example, credential: kk}]\n")),
              HasSubstr("exeat.yaml:6: destinations[0].credential: no credential is named kk; "
                        "there are: k"));
  EXPECT_THAT(Only(LoadTail("destinations: [{name: a, host: a.example, credential: k}]\n")),
              HasSubstr("no credential is named k"));
}

TEST(LoadCredential, OneNobodyUsesIsNoMistake) {
  EXPECT_TRUE(LoadTail("credentials: [{name: k, kind: bearer, source: {file: f}}]\n").ok());
}

TEST(LoadCredential, ServesOneRegistrableDomainUnlessItsHostsSayMore) {
  const auto load = [](std::string_view hosts, std::string_view second) {
    return LoadTail("credentials:\n- {name: k, kind: bearer, source: {file: f}" +
                    std::string(hosts) +
                    "}\ndestinations:\n"
                    "- {name: a, host: api.one.example, credential: k}\n"
                    "- {name: b, host: " +
                    std::string(second) + ", credential: k}\n");
  };
  EXPECT_TRUE(load("", "www.one.example").ok());
  const std::string text = Only(load("", "api.two.example"));
  EXPECT_THAT(text, HasSubstr("exeat.yaml:9: destinations[1].credential: credential k"));
  EXPECT_THAT(text, HasSubstr("api.one.example (destination a, line 8)"));
  EXPECT_THAT(text, HasSubstr("api.two.example (destination b)"));
  EXPECT_THAT(text, HasSubstr("its hosts on line 6"));
  EXPECT_TRUE(load(", hosts: [api.one.example, API.two.example]", "api.two.example").ok());
  EXPECT_THAT(Only(load(", hosts: [api.one.example]", "api.two.example")),
              HasSubstr("api.two.example is not one of them"));
  EXPECT_THAT(Only(load(", hosts: [api.one.example]", "www.one.example")),
              HasSubstr("www.one.example is not one of them"));
}

TEST(LoadCredential, LookAlikeDomainsAreNotTheSameDomain) {
  for (const std::string_view other :
       {"api-github.com", "xapi-github.com", "github.com.evil", "api.github.com.evil"}) {
    EXPECT_THAT(Only(LoadTail("credentials: [{name: k, kind: bearer, source: {file: f}}]\n"
                              "destinations: [{name: a, host: api.github.com, credential: k},\n"
                              "  {name: b, host: " +
                              std::string(other) + ", credential: k}]\n")),
                HasSubstr("would go to two domains"))
        << other;
  }
}

TEST(LoadCredential, RefusesBadHostLists) {
  EXPECT_THAT(OnlyOfCredential("kind: bearer, source: {file: f}, hosts: []"),
              HasSubstr("hosts: must not be empty"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, source: {file: f}, hosts: [a.example, A.example]"),
              HasSubstr("a.example stands twice"));
  EXPECT_THAT(OnlyOfCredential("kind: bearer, source: {file: f}, hosts: [10.0.0.1]"),
              HasSubstr("is an address"));
}

// Each later feature of the outside contract, alone in a file that is otherwise good.
TEST(LoadLaterKeys, AreRefusedAsNotSupportedYet) {
  const std::string destination = "destinations: [{name: a, host: a.example, ";
  const std::string credential = "credentials: [{name: k, ";
  const std::pair<std::string, std::string> cases[] = {
      {"operator: {address: 127.0.0.1:3120}\n", "operator"},
      {"operator: {}\n", "operator"},
      {"posture: passthrough\n", "posture"},
      {"sessions: {issuers: []}\n", "sessions.issuers"},
      {"sessions: {introspection: {url: x}}\n", "sessions.introspection"},
      {"tripwire: {window: 10m}\n", "tripwire"},
      {"content: {digest: sha256}\n", "content"},
      {"streams: {cut: ext_proc}\n", "streams.cut"},
      {"audit: {durability: batch}\n", "audit.durability"},
      {"ratelimit: grpc://limits:8081\n", "ratelimit"},
      {"limits: {concurrent: 32}\n", "limits.concurrent"},
      {"limits: {connections_per_minute: 1}\n", "limits.connections_per_minute"},
      {"limits: {bytes_out_per_hour: 1GiB}\n", "limits.bytes_out_per_hour"},
      {destination + "mode: passthrough}]\n", "destinations[0].mode"},
      {destination + "anonymous: true}]\n", "destinations[0].anonymous"},
      {destination + "internal: true}]\n", "destinations[0].internal"},
      {destination + "broker: true}]\n", "destinations[0].broker"},
      {destination + "cookies: pass}]\n", "destinations[0].cookies"},
      {"destinations: [{name: a, host: '*.a.example'}]\n", "destinations[0].host"},
      {credential + "kind: oauth2_client_credentials}]\n", "credentials[0].kind"},
      {credential + "kind: gcp, source: {file: f}}]\n", "credentials[0].kind"},
      {credential + "kind: bearer, source: {sds: {}}}]\n", "credentials[0].source.sds"},
  };
  for (const auto& [tail, key] : cases) {
    const LoadResult result = LoadTail(tail);
    ASSERT_EQ(result.mistakes.size(), 1U) << Only(result) << tail;
    EXPECT_TRUE(result.mistakes[0].not_supported_yet) << tail;
    EXPECT_THAT(result.mistakes[0].message, testing::StartsWith("not supported yet")) << tail;
    EXPECT_EQ(result.mistakes[0].key, key);
  }
}

TEST(LoadLaterKeys, AStorageListenerIsNoneOfThem) {
  const LoadResult result = Load("version: 1\ndeployment: d\nlisteners: {storage: unix:./s}\n",
                                 "exeat.yaml", "/etc/exeat");
  ASSERT_EQ(result.mistakes.size(), 1U);
  EXPECT_EQ(result.mistakes[0].key, "listeners.storage");
  EXPECT_TRUE(result.mistakes[0].not_supported_yet);
}

TEST(LoadSharedHosts, MustEachBeReachable) {
  const auto load = [](std::string_view first, std::string_view second) {
    return LoadTail("destinations:\n- {name: a, host: one.example, " + std::string(first) +
                    "}\n- {name: b, host: one.example, " + std::string(second) + "}\n");
  };
  EXPECT_TRUE(load("grant: write", "grant: read").ok());
  EXPECT_TRUE(load("grant: write", "ports: [443]").ok());
  EXPECT_TRUE(load("ports: [443]", "ports: [8443]").ok());
  EXPECT_THAT(Only(LoadTail("destinations: [{name: a, host: a.example, ports: [1, 2]},\n"
                            "{name: b, host: A.example., ports: [2, 3]}]\n")),
              HasSubstr("a.example:2 is served for any session by a"));
  EXPECT_THAT(Only(load("ports: [443]", "grant: read")),
              HasSubstr("exeat.yaml:7: destinations[1].host: one.example:443 is served for any "
                        "session by a on line 6, which comes first"));
  EXPECT_THAT(Only(load("grant: read", "grant: read, ports: [8443, 443]")),
              HasSubstr("for every session that holds read by a on line 6"));
  EXPECT_THAT(Only(load("grant: write, authorize: connection", "grant: read")),
              HasSubstr("exeat.yaml:6: destinations[0].authorize: connection cannot be said"));
}

// The file of a finished exeat: what this version does not have yet is all that is wrong with it.
constexpr std::string_view kFinished = R"(version: 1
deployment: acme-dev
state: ./state
listeners:
  proxy: 127.0.0.1:3128
  transparent: 127.0.0.1:3129
  storage: unix:./state/storage.sock
operator: {address: 127.0.0.1:3120}
posture: bump
sessions:
  max_lifetime: 60m
  issuers:
  - {issuer: https://idp.example, jwks_uri: https://idp.example/jwks, audience: exeat,
     session_claim: sid}
  introspection: {url: https://idp.example/introspect, credential: idp-basic}
resolver: {upstream: [192.0.2.53:53], hosts: {}, allow_private: []}
credentials:
- {name: anthropic, kind: header, header: x-api-key, source: {file: /run/secrets/anthropic}}
- {name: openai, kind: bearer, source: {file: /run/secrets/openai}}
- {name: git, kind: basic, username: x-access-token, source: {file: /run/secrets/gh}}
- {name: s3, kind: aws_sigv4, service: s3, region: eu-west-1, source: {file: /run/secrets/aws}}
- {name: crm, kind: oauth2_client_credentials, token_url: https://id.example/token,
   client_id: agent, source: {file: /run/secrets/crm}}
- {name: bank, kind: mtls, source: {certificate: /run/secrets/bank.crt, key: /run/secrets/bank.key}}
- {name: vaulted, kind: bearer, source: {sds: {address: unix:/run/sds.sock, secret: vaulted}}}
destinations:
- {name: anthropic, host: api.anthropic.com, ports: [443], credential: anthropic, grant: anthropic,
   allow: [{methods: [POST], path: /v1/messages}], limits: {requests_per_minute: 60}}
- {name: docs, host: docs.example.net, authorize: connection}
- {name: cdn, host: "*.cdn.example.net", mode: passthrough}
limits: {requests_per_minute: 600, burst: 60, concurrent: 32, connections_per_minute: 120,
  bytes_out_per_hour: 1GiB}
tripwire: {window: 10m, bytes_out: 512MiB, distinct_destinations: 40, action: revoke}
content: {handle_headers: [x-content-handle], digest: sha256}
audit: {durability: batch, dir: ./state/audit}
store: sqlite
ratelimit: local
upstream_trust: /etc/ssl/certs/ca-certificates.crt
streams: {cut: auto}
)";

TEST(LoadLaterKeys, AreAllThatIsWrongWithTheFileOfAFinishedExeat) {
  const LoadResult result = Load(kFinished, "exeat.yaml", "/etc/exeat");
  EXPECT_EQ(result.mistakes.size(), 16U);
  for (const Mistake& mistake : result.mistakes) {
    EXPECT_TRUE(mistake.not_supported_yet) << mistake.ToString();
  }
}

}  // namespace
}  // namespace exeat::policy
