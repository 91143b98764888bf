// The sockets and addresses of this edge itself, which no destination may resolve to.
//
// Why here:  a name that leads back to the edge would turn it into a proxy to its own operators.
// Shapes:    each listener; for one on 0.0.0.0 or :: every address of this host with its port; and
//            every interface address but the loopback interface's with port 0, which stands for
//            every port. A listener with port 0 is left out: its real port is not known here.
// Errors:    kUnavailable when the interfaces cannot be listed.
#pragma once

#include <vector>

#include "base/status.h"
#include "policy/policy.h"

namespace exeat::resolver {

base::StatusOr<std::vector<policy::SocketAddress>> OwnAddresses(const policy::Listeners& listeners);

}  // namespace exeat::resolver
