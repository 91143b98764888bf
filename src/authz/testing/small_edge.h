// A small edge to decide on: four destinations, six tokens, nothing revoked, everything in force.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "authz/decision.h"
#include "authz/testing/fake_verifier.h"
#include "base/encoding.h"

namespace exeat::authz {

inline session::Claims ClaimsOf(const std::string& sid, std::vector<std::string> grants = {}) {
  session::Claims claims;
  claims.iss = "test";
  claims.sid = sid;
  claims.jti = "jti-" + sid;
  claims.sub = "sub-" + sid;
  claims.grants = std::move(grants);
  return claims;
}

inline policy::Destination DestinationOf(const std::string& host, std::vector<std::uint16_t> ports,
                                         const std::string& grant = "",
                                         const std::string& credential = "") {
  policy::Destination destination;
  destination.name = host.substr(0, host.find('.'));
  destination.host = host;
  destination.ports = std::move(ports);
  destination.grant = grant;
  destination.credential = credential;
  return destination;
}

// api.test  443 and 8443, credential "key"
// open.test 443, nothing attached
// rules.test 443, POST /v1/messages; GET and HEAD /v1/**; any method /any
// grant.test 443, grant "g"
inline policy::Policy SmallPolicy() {
  policy::Policy policy;
  policy.deployment = "test";
  policy.posture = policy::Posture::kBump;
  policy.destinations.push_back(DestinationOf("api.test", {443, 8443}, "", "key"));
  policy.destinations.push_back(DestinationOf("open.test", {443}));
  policy.destinations.push_back(DestinationOf("rules.test", {443}));
  policy.destinations.back().allow =
      std::vector<policy::AllowRule>{{{"POST"}, policy::PathRule::Parse("/v1/messages")},
                                     {{"GET", "HEAD"}, policy::PathRule::Parse("/v1/**")},
                                     {{}, policy::PathRule::Parse("/any")}};
  policy.destinations.push_back(DestinationOf("grant.test", {443}, "g"));
  return policy;
}

// Tokens "A" and "A2" are of session a, "B" of session b, "G" of session g, which holds the grant;
// "old", "early" and "other" are expired, not yet valid and for another audience.
struct SmallEdge {
  std::shared_ptr<FakeVerifier> verifier = std::make_shared<FakeVerifier>();
  revocation::Denylist denylist;
  policy::Policy policy = SmallPolicy();

  SmallEdge() {
    verifier->Accept("A", ClaimsOf("a"));
    verifier->Accept("A2", ClaimsOf("a"));
    verifier->Accept("B", ClaimsOf("b"));
    verifier->Accept("G", ClaimsOf("g", {"f", "g"}));
    verifier->Reject("old", session::Rejection::kExpired);
    verifier->Reject("early", session::Rejection::kNotYetValid);
    verifier->Reject("other", session::Rejection::kAudience);
    denylist.Load({}, false);
  }

  Snapshot Read() const {
    Snapshot snapshot;
    snapshot.policy = std::make_shared<const policy::Policy>(policy);
    snapshot.policy_revision = 1;
    snapshot.denylist = denylist.Read();
    snapshot.verifier = verifier;
    snapshot.restrictions_in_force = true;
    return snapshot;
  }
};

inline std::string Basic(const std::string& pair) { return "Basic " + base::Base64Encode(pair); }

// Requests of session a that are allowed as they stand.
inline Facts ConnectFacts() {
  Facts facts;
  facts.leg = Leg::kConnect;
  facts.method = "CONNECT";
  facts.authority = "api.test:443";
  facts.proxy_authorization = "Bearer A";
  return facts;
}
inline Facts TunnelFacts() {
  Facts facts;
  facts.leg = Leg::kTunnel;
  facts.method = "GET";
  facts.authority = "api.test";
  facts.path = "/";
  facts.sni = "api.test";
  facts.tunnel_target = "api.test:443";
  facts.tunnel_token = "Bearer A";
  facts.metadata_sid = "a";
  return facts;
}
inline Facts TransparentFacts() {
  Facts facts;
  facts.leg = Leg::kTransparent;
  facts.method = "GET";
  facts.authority = "api.test";
  facts.path = "/";
  facts.sni = "api.test";
  facts.authorization = "Bearer A";
  facts.metadata_sid = "a";
  return facts;
}

}  // namespace exeat::authz
