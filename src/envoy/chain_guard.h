// Refuses any configuration in which a credential could be attached before the chain has judged.
//
// Why here:   the injector has no predicate of its own: order is the gate. So the finished JSON,
//             not the code that made it, is what is checked.
// Rules:      a cluster that injects, or presents a certificate, checks the address first, refuses
//             what was withdrawn and dials verified TLS only; every
//             route to it stands in a route configuration that only connection managers with
//             exactly header_mutation, jwt_authn, ext_authz, revoked rbac, rbac, ratelimit,
//             router use, on an internal listener that only the two legs reach (leg_guard.h);
//             the routes name what header_mutation removes from every answer; neither route nor
//             virtual host switches one of them off, but for a virtual host that skips ext_authz
//             for what was vetted for it (asked_once.h); the base rbac denies all and the
//             destination's own allows only what demands a verified session; nothing else (a TCP
//             proxy, a tunnel, a mirror, a header) can reach such a cluster.
// Errors:     kFailedPrecondition names the resource and the rule.
// Source:     docs/adr/0001-stock-envoy.md
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "envoy/resource.h"

namespace exeat::envoy {

// Looks at one resource after another, so that a large configuration is never held as JSON.
// Clusters come before routes, and routes before listeners; whatever comes too late to be judged is
// refused. A route configuration may come in parts that have all but their virtual hosts alike.
class ChainCheck {
 public:
  base::Status See(const Resource& resource);

 private:
  base::Status SeeCluster(const Resource& cluster);
  base::Status SeeRoutes(const Resource& routes);
  base::Status SeeListener(const Resource& listener);
  base::Status CheckManager(const Resource& listener, const nlohmann::json& manager);

  std::set<std::string> injecting_;  // clusters
  std::set<std::string> guarded_;    // route configurations with a route to one, or a skip
  std::size_t latest_ = 0;           // of the order above
};

// All of a configuration that is held as JSON, in whatever order.
base::Status CheckChain(const std::vector<Resource>& resources);

}  // namespace exeat::envoy
