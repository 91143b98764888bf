// Clusters: where a destination is dialled, what its certificate must say, and what is attached.
//
// Shapes:    two a destination and port, over the same endpoints: one that speaks HTTP/2 or
//            HTTP/1.1 as ALPN says, one for WebSocket upgrades that speaks HTTP/1.1 only.
// Cost:      all that depends on the credential alone, which is nearly everything, is apart from
//            what is the destination's own, so that it is built and typed once and not for each of
//            them.
// Order:     the upstream filters run after the router and so after the whole chain: resolved
//            address, gate (credential_filters.h), hygiene, credential, codec.
// Fail mode: no endpoints, no trust or no credential: nothing is sent.
#pragma once

#include <cstdint>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

enum class Speaks { kAny, kHttp1Only };

// What every cluster with this credential, which may be null, has alike.
Json ClusterCommon(const policy::Policy& policy, const policy::Credential* credential,
                   Speaks speaks);
// What is this cluster's alone; no field of it is one of the former.
Json ClusterOwn(const policy::Destination& destination, std::uint16_t port,
                const policy::Credential* credential, Speaks speaks);

}  // namespace exeat::envoy
