// Listeners: explicit (CONNECT), transparent (redirected TLS), and the internal one behind CONNECT.
//
// Why LDS:   chains never change while destinations come and go; only the SNI map does, and that
//            is replaced in place. Keys, limits and the revoked list are ECDS for the same reason.
// Shapes:    one builder makes the bumped chain of both `transparent` and `bump`.
// Fail mode: an SNI that is not in the map is closed before any handshake.
#pragma once

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

Json ExplicitListener(const policy::SocketAddress& address);
Json TransparentListener(const policy::SocketAddress& address, const policy::Policy& policy);
// Reached by the cluster "to_bump" alone.
Json BumpListener(const policy::Policy& policy);

}  // namespace exeat::envoy
