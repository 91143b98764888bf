// Endpoints: the addresses that Envoy may dial for one destination and port, on a lease.
//
// Units:     the lease is kEndpointLease; whoever serves it pushes it again, under a new
//            version, at least every half of that.
// Fail mode: when pushes stop the addresses expire and requests are refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "envoy/resource.h"
#include "envoy/typing.h"
#include "policy/policy.h"

namespace exeat::envoy {

inline constexpr std::chrono::seconds kEndpointLease{3};

// `addresses` are the resolver's good ones; empty closes the destination.
base::StatusOr<Resource> BuildEndpoints(const policy::Destination& destination, std::uint16_t port,
                                        const std::vector<policy::IpAddress>& addresses,
                                        const Typing& typing);

}  // namespace exeat::envoy
