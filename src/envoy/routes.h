// The one route configuration, of the bumped chain.
//
// Shapes:    one virtual host a host and port, named "<destination>:<port>" of the first that
//            serves it; each of those has routes and clusters of that name. A Host that is not
//            listed, or is not the SNI, is 421; a CONNECT is refused as a method, whatever its
//            target.
// Why RDS:   a new destination is a new virtual host, which drains no connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// "<destination>:<port>": cluster, endpoints, route and virtual host.
std::string ClusterName(const policy::Destination& destination, std::uint16_t port);
// The cluster of the same endpoints that speaks HTTP/1.1 only, for WebSocket upgrades.
std::string UpgradeClusterName(const policy::Destination& destination, std::uint16_t port);

// The route configuration without its virtual hosts.
Json RoutesHead(const policy::Policy& policy);
// Of all destinations that serve one host on this port, in the order of the policy: the first that
// is open to the session serves the request.
Json VirtualHost(const policy::Policy& policy,
                 const std::vector<const policy::Destination*>& serving, std::uint16_t port);
// The virtual host of every name that is not listed.
Json UnlistedHost();

}  // namespace exeat::envoy
