// Clusters: where a destination is dialled, what its certificate must say, and what is attached.
//
// Shapes:    two a destination and port, over the same endpoints: one that speaks HTTP/2 or
//            HTTP/1.1 as ALPN says, one for WebSocket upgrades that speaks HTTP/1.1 only.
// Order:     the upstream filters run after the router and so after the whole chain: resolved
//            address, hygiene, credential, codec.
// Fail mode: no endpoints, no trust or no credential: nothing is sent.
#pragma once

#include <cstdint>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

enum class Speaks { kAny, kHttp1Only };

// `destination` belongs to `policy`, and so does its credential.
Json DestinationCluster(const policy::Policy& policy, const policy::Destination& destination,
                        std::uint16_t port, Speaks speaks);

}  // namespace exeat::envoy
