// ext_authz: every request is asked of our control plane, which fails closed when it is silent; on
// the transparent leg every connection too, before a byte of it goes inward.
#pragma once

#include <chrono>

#include "envoy/json.h"

namespace exeat::envoy {

// How long Envoy waits for an answer; without one it denies.
inline constexpr std::chrono::seconds kAuthzTimeout{1};

// At CONNECT. Check may rewrite proxy-authorization (Basic to Bearer) and nothing else.
Json ConnectExtAuthz();
// On the bumped chain. Check may change nothing.
Json BumpedExtAuthz();
// On a redirected connection: the server name and both ends, of which Check may only say yes or no.
Json ConnectionExtAuthz();

}  // namespace exeat::envoy
