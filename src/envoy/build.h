// Policy -> every resource that Envoy is given.
//
// Why here:   pure, so every byte of the configuration is tested without a network.
// Fail mode:  what cannot be typed, or would attach a credential outside the chain, is an error
//             and nothing is pushed; posture deny-all lists no name, route or cluster.
// Cost:       a destination is built, judged and typed on its own and its JSON then dropped; what
//             thousands of them have alike is typed once and held once.
// Threads:    pure functions.
// Source:     docs/adr/0010-delta-ads.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "envoy/bootstrap.h"
#include "envoy/chain_guard.h"
#include "envoy/endpoints.h"
#include "envoy/names.h"
#include "envoy/resource.h"
#include "envoy/secrets.h"
#include "envoy/typing.h"
#include "policy/policy.h"

namespace exeat::envoy {

struct Inputs {
  policy::PolicyPtr policy;
  std::string jwks;                          // public signing keys, a JSON document
  std::string trust_pem;                     // upstream_trust's content
  std::string session_issuer;                // iss of session tokens
  std::uint32_t max_live_sessions = 20'000;  // whose buckets are kept apart
};

// Clusters, listeners, routes, ECDS filters and the trust bundle, in the order to push them.
// Endpoints, credentials, leaves and the revoked list come and go on their own.
base::StatusOr<std::vector<Resource>> BuildStatic(const Inputs& inputs, const Typing& typing,
                                                  Bodies bodies = Bodies::kDrop);

// The revoked list, an ECDS filter: these sessions are denied without a question.
base::StatusOr<Resource> BuildRevoked(const std::vector<std::string>& sids, const Typing& typing);

}  // namespace exeat::envoy
