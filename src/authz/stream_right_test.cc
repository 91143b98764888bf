#include "authz/stream_right.h"

#include <memory>

#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

policy::AllowRule Rule(std::vector<std::string> methods, const std::string& path = {}) {
  policy::AllowRule rule;
  rule.methods = std::move(methods);
  if (!path.empty()) rule.path = policy::PathRule::Parse(path);
  return rule;
}

using Rules = std::optional<std::vector<policy::AllowRule>>;

policy::Policy Serving(Rules allow, std::string grant = {}) {
  policy::Destination api;
  api.name = "api";
  api.host = "api.test";
  api.ports = {443};
  api.grant = std::move(grant);
  api.allow = std::move(allow);
  policy::Policy policy;
  policy.posture = policy::Posture::kBump;
  policy.destinations = {api};
  return policy;
}

// A request that the first rule of such a destination permitted.
limits::OpenStream AllowedBy(Rules allow, std::vector<std::string> grants = {}) {
  session::Claims claims;
  claims.sid = "s";
  claims.jti = "t";
  claims.sub = "agent";
  claims.grants = std::move(grants);
  limits::OpenStream stream;
  stream.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
  const auto policy = std::make_shared<const policy::Policy>(Serving(std::move(allow)));
  stream.destination = {policy, &policy->destinations.front()};
  if (stream.destination->allow) stream.rule = &stream.destination->allow->front();
  stream.port = 443;
  return stream;
}

bool GoesOn(const Rules& before, const Rules& after) {
  return Permits(Serving(after), AllowedBy(before));
}

TEST(StreamRight, EndsWithPostureDestinationPortAndGrant) {
  policy::Policy policy = Serving(std::nullopt);
  const limits::OpenStream stream = AllowedBy(std::nullopt);
  EXPECT_TRUE(Permits(policy, stream));
  policy.posture = policy::Posture::kDenyAll;
  EXPECT_FALSE(Permits(policy, stream));
  policy = Serving(std::nullopt);
  policy.destinations.front().ports = {8443};
  EXPECT_FALSE(Permits(policy, stream));
  policy = Serving(std::nullopt);
  policy.destinations.front().host = "other.test";
  EXPECT_FALSE(Permits(policy, stream));
  EXPECT_FALSE(Permits(Serving(std::nullopt, "mail"), stream));
  EXPECT_TRUE(Permits(Serving(std::nullopt, "mail"), AllowedBy(std::nullopt, {"mail"})));
  EXPECT_FALSE(Permits(Serving(std::nullopt), limits::OpenStream{.claims = stream.claims}))
      << "where to is not known";
}

TEST(StreamRight, EndsWhereMethodOrPathWasNarrowed) {
  const Rules wide = {{Rule({"GET", "POST"}, "/v1/**")}};
  EXPECT_TRUE(GoesOn(wide, wide));
  EXPECT_TRUE(GoesOn(wide, std::nullopt));
  EXPECT_FALSE(GoesOn(wide, {{Rule({"GET"}, "/v1/**")}}));
  EXPECT_FALSE(GoesOn(wide, {{Rule({"GET", "POST"}, "/v1/models/**")}}));
  EXPECT_FALSE(GoesOn(wide, {{Rule({"GET", "POST"}, "/v1/x")}}));
  EXPECT_FALSE(GoesOn(wide, {{Rule({"GET", "POST"}, "/v2/**")}}));
  EXPECT_FALSE(GoesOn(std::nullopt, wide));
  EXPECT_FALSE(GoesOn({{Rule({}, "/v1/**")}}, wide));
  EXPECT_FALSE(GoesOn({{Rule({"GET"})}}, wide));
}

TEST(StreamRight, GoesOnWhereTheNewRulesPermitAllThatTheFormerDid) {
  const Rules exact = {{Rule({"GET"}, "/v1/models")}};
  EXPECT_TRUE(GoesOn(exact, {{Rule({"GET"}, "/v1/**")}}));
  EXPECT_TRUE(GoesOn(exact, {{Rule({"GET"})}}));
  EXPECT_TRUE(GoesOn(exact, {{Rule({}, "/v1/models")}}));
  EXPECT_TRUE(GoesOn(exact, {{Rule({"POST"}, "/"), Rule({"POST", "GET"}, "/v1/models")}}));
  EXPECT_TRUE(
      GoesOn({{Rule({"GET", "POST"}, "/a")}}, {{Rule({"GET"}, "/a"), Rule({"POST"}, "/**")}}))
      << "each method by another rule";
  EXPECT_TRUE(GoesOn(std::nullopt, {{Rule({})}}));
  EXPECT_FALSE(GoesOn({{Rule({"GET"}, "/v1")}}, {{Rule({"GET"}, "/v1/**")}})) << "not inside";
}

TEST(StreamRight, OfATunnelIsItsDestinationsWhateverMayBeAskedInside) {
  limits::OpenStream tunnel = AllowedBy(std::nullopt);
  tunnel.is_tunnel = true;
  EXPECT_TRUE(Permits(Serving({{Rule({"GET"}, "/only")}}), tunnel));
}

TEST(StreamRight, OfAVettedTunnelEndsWithItsRules) {
  const Rules former = {{Rule({"GET"}, "/a")}};
  limits::OpenStream stream = AllowedBy(former);
  stream.is_tunnel = stream.is_vetted = true;
  EXPECT_TRUE(Permits(Serving(former), stream));
  for (const Rules& rules : {Rules(), Rules({{Rule({"GET"}, "/b")}})}) {
    EXPECT_FALSE(Permits(Serving(rules), stream)) << "what runs inside is not known";
  }
}

TEST(StreamRight, EndsWithTheDenylist) {
  revocation::Denylist denylist;
  Snapshot snapshot;
  const limits::OpenStream stream = AllowedBy(std::nullopt);
  EXPECT_FALSE(HasRight(stream, snapshot)) << "no policy";
  snapshot.policy = std::make_shared<const policy::Policy>(Serving(std::nullopt));
  EXPECT_FALSE(HasRight(stream, snapshot)) << "no denylist was loaded";
  denylist.LoadKeys({}, false);
  snapshot.denylist = denylist.Read();
  EXPECT_TRUE(HasRight(stream, snapshot));
  denylist.Add({revocation::Kind::kSubject, "agent"});
  snapshot.denylist = denylist.Read();
  EXPECT_FALSE(HasRight(stream, snapshot));
}

}  // namespace
}  // namespace exeat::authz
