// ext_authz: every request is asked of our control plane, which fails closed when it is silent.
#pragma once

#include "envoy/json.h"

namespace exeat::envoy {

// At CONNECT. Check may rewrite proxy-authorization (Basic to Bearer) and nothing else.
Json ConnectExtAuthz();
// On the bumped chain. Check may change nothing.
Json BumpedExtAuthz();

}  // namespace exeat::envoy
