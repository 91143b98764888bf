// Endpoints: the addresses that Envoy may dial for one destination and port, on a lease.
//
// Units:     the lease is kEndpointLease; push a new generation at least every half of it.
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

// `addresses` are the resolver's good ones; empty closes the destination. The version ends in
// `lease_generation`, so that an unchanged list renews the lease.
base::StatusOr<Resource> BuildEndpoints(const policy::Destination& destination, std::uint16_t port,
                                        const std::vector<policy::IpAddress>& addresses,
                                        std::uint64_t lease_generation, const Typing& typing);

}  // namespace exeat::envoy
