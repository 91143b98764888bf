// Refuses any configuration in which the bumped chain could be reached, or told its leg, by
// anything but the two outer listeners.
//
// Why here:   the chain believes what it is told of leg, tunnel token and address. It stands on an
//             internal listener, so whoever may dial that one may say who the guest is.
// Rules:      only `explicit` and `transparent` name the cluster to_bump, and nothing pushed names
//             an internal address; `transparent` is exactly set_filter_state, an ext_authz that
//             reads the server name and cannot be passed unasked, and that TCP proxy, which waits;
//             `explicit` asks ext_authz and jwt_authn before it carries a token inward; what is
//             shared inward is hashable; inside, each header of ours comes from what was carried.
// Errors:     kFailedPrecondition names the resource and the rule.
// Source:     docs/adr/0012-limits.md
#pragma once

#include "base/status.h"
#include "envoy/json.h"
#include "envoy/resource.h"

namespace exeat::envoy {

base::Status CheckLegs(const Resource& resource);

// For the connection manager that holds the chain: on an internal listener, and its own headers are
// not literals.
base::Status CheckInside(const Resource& listener, const Json& manager);

}  // namespace exeat::envoy
