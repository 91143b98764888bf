// Listeners: explicit (CONNECT), transparent (redirected TLS), and the internal one behind both.
//
// Why LDS:   chains never change while destinations come and go; only the SNI map does, and that
//            is replaced in place. Keys, limits and the revoked list are ECDS for the same reason.
// Shapes:    the bumped chain stands once, on `bump`, so that a session has one bucket whatever leg
//            it takes. The outer listeners only say which leg it was, and whose address; each asks
//            Check before anything goes inward, `transparent` about the connection.
// Fail mode: an SNI that is not in the map is closed before any handshake.
// Source:    docs/adr/0012-limits.md
#pragma once

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

Json ExplicitListener(const policy::SocketAddress& address);
Json TransparentListener(const policy::SocketAddress& address);
// Reached by the cluster "to_bump" alone.
Json BumpListener(const policy::Policy& policy);

}  // namespace exeat::envoy
