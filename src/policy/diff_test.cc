#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Policy PolicyOf(std::string_view tail) {
  const LoadResult result = Load(
      "version: 1\ndeployment: test\nlisteners: {proxy: 127.0.0.1:3128}\n"
      "resolver: {upstream: [192.0.2.53:53]}\n" +
          std::string(tail),
      "exeat.yaml", "/etc/exeat");
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.mistakes[0].ToString());
  return result.policy;
}

TEST(Diff, IsEmptyForTheSamePolicyInAnotherOrder) {
  const Policy a = PolicyOf(
      "destinations: [{name: a, host: a.example, ports: [1, 2]}, {name: b, host: b.example}]\n");
  const Policy b = PolicyOf(
      "# moved\n\ndestinations:\n- {host: B.example, name: b}\n"
      "- {name: a, host: a.example, ports: [2, 1]}\n");
  EXPECT_THAT(Diff(a, b), IsEmpty());
  EXPECT_THAT(RestartKeys(a, b), IsEmpty());
}

TEST(Diff, NamesEachChangedKeyOnOneLine) {
  const Policy from = PolicyOf(
      "posture: bump\nlimits: {requests_per_minute: 600}\n"
      "credentials: [{name: k, kind: bearer, source: {file: k}}]\n"
      "destinations:\n- {name: a, host: a.example, credential: k, allow: [{path: /v1/**}]}\n"
      "- {name: gone, host: gone.example}\n");
  const Policy to = PolicyOf(
      "posture: deny-all\nlimits: {requests_per_minute: 600, burst: 60}\n"
      "credentials: [{name: k, kind: bearer, source: {file: k2}}]\n"
      "destinations:\n- {name: docs, host: docs.example}\n"
      "- {name: a, host: a.example, grant: g, allow: [{methods: [GET, HEAD], path: /v1}]}\n");
  EXPECT_THAT(Diff(from, to),
              ElementsAre("~ posture: bump -> deny-all",  //
                          "~ limits.burst: 600 -> 60",    //
                          "~ credentials.k.source.file: /etc/exeat/k -> /etc/exeat/k2",
                          "- destinations.gone",             //
                          "+ destinations.docs",             //
                          "- destinations.a.credential: k",  //
                          "+ destinations.a.grant: g",
                          "~ destinations.a.allow: [* /v1/**] -> [GET|HEAD /v1]"));
}

TEST(Diff, ShowsSectionsThatComeAndGo) {
  const Policy bare = PolicyOf("");
  const Policy full = PolicyOf(
      "limits: {requests_per_minute: 5}\nsessions: {max_lifetime: 1m, skew: 0s}\n"
      "upstream_trust: /roots.pem\n");
  EXPECT_THAT(Diff(bare, full),
              ElementsAre("~ sessions.max_lifetime: 3600s -> 60s", "~ sessions.skew: 5s -> 0s",
                          "~ upstream_trust: /etc/ssl/certs/ca-certificates.crt "
                          "-> /roots.pem",
                          "+ limits.requests_per_minute: 5", "+ limits.burst: 5"));
  EXPECT_EQ(Diff(full, bare).back(),
            "~ upstream_trust: /roots.pem -> "
            "/etc/ssl/certs/ca-certificates.crt");
}

TEST(Diff, SeesEveryFieldOfTheResolver) {
  Policy to = PolicyOf("");
  to.resolver.hosts["a.example"] = {*IpAddress::Parse("192.0.2.1")};
  to.resolver.allow_private = {*Cidr::Parse("10.0.0.0/8")};
  to.resolver.upstream.push_back(*SocketAddress::Parse("[::1]:53"));
  EXPECT_THAT(Diff(PolicyOf(""), to),
              ElementsAre("~ resolver.upstream: [192.0.2.53:53] -> [192.0.2.53:53, [::1]:53]",
                          "+ resolver.hosts.a.example: [192.0.2.1]",
                          "+ resolver.allow_private: [10.0.0.0/8]"));
}

TEST(RestartKeys, AreThoseThisEdgeReadsAtItsStart) {
  const Policy running = PolicyOf("posture: bump\n");
  Policy wanted = PolicyOf("limits: {requests_per_minute: 5}\n");
  EXPECT_THAT(RestartKeys(running, wanted), IsEmpty());
  wanted.listeners.proxy->port = 1;
  wanted.listeners.transparent = SocketAddress::Parse("127.0.0.1:3129");
  wanted.state_dir = "/elsewhere";
  wanted.audit_dir = "/elsewhere/audit";
  wanted.deployment = "other";
  wanted.ca = ImportedCa{"/c", "/k", 0, 0};
  EXPECT_THAT(RestartKeys(running, wanted),
              ElementsAre("deployment", "state", "listeners.proxy", "listeners.transparent",
                          "ca.certificate", "ca.key", "audit.dir"));
  EXPECT_THAT(RestartKeys(wanted, running).size(), 7U);
}

}  // namespace
}  // namespace exeat::policy
