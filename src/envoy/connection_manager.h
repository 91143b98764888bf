// The HTTP connection managers: one that ends CONNECT, one that judges what was bumped.
//
// Source:  docs/walkthroughs/request.md
#pragma once

#include "envoy/json.h"

namespace exeat::envoy {

// On `explicit`: ext_authz, jwt_authn, then the verified token into shared filter state.
Json ConnectManager();
// On `bump`: the chain, once for both legs.
Json BumpedManager();

}  // namespace exeat::envoy
