// RBAC in its four places: revoked sessions, the closed base, each destination's own opening, and
// the resolved address.
//
// Why here:  the second, call-free answer to what Check was asked already.
// Fail mode: the base denies all; a virtual host without rules of its own stays closed.
#pragma once

#include <string>
#include <vector>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// ECDS: denies these session ids. Never an empty rule set, which would allow all silently.
Json RevokedFilter(const std::vector<std::string>& sids);
// The filter of the chain, which denies everything that no virtual host opens.
Json BaseRbac();
// Per virtual host: SNI, a verified session, its grant, methods and paths.
Json DestinationRbac(const policy::Destination& destination);
// Per route: no RBAC, for routes that only ever answer with a fixed denial.
// A metadata matcher: the verified session holds this grant.
Json HoldsGrant(const std::string& grant);
Json NoRbac();
// Upstream: denies the deny-set but what `allow_private` opens.
Json AddressRbac(const std::vector<policy::Cidr>& allow_private);

}  // namespace exeat::envoy
