// Which requests in a vetted tunnel Check is not asked about again.
//
// Purpose:  a CONNECT that Check allowed for a destination with `authorize: connection` carries
//           that destination inward (kVettedState, read as kVettedHeader); its virtual host skips
//           ext_authz for it.
// Rule:     skipped is only what the rest of the chain lets through as Check would: this tunnel,
//           this SNI and this Host are one destination, a method and path that the rules list and
//           that are plain, and no second token. Everything else is asked about, so that it is
//           judged, answered and recorded as always. Envoy's rbac still judges every request.
// Trap:     a virtual host's matcher may look at request headers only. Of one that looks at
//           anything else, filter state too, Envoy 1.40 makes no matcher and skips every request.
// Trust:    only `explicit` writes the state, after Check's answer and the token's verification
//           (leg_guard.h); a guest cannot.
// Source:   docs/adr/0016-asking-once.md
#pragma once

#include <cstdint>
#include <string>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// What a tunnel is vetted for, as Check writes it and the virtual host compares it.
std::string VettedFor(const policy::Destination& destination, std::uint16_t port);

// The filter in the chain, asking unless the virtual host says otherwise.
Json AskedUnlessVetted(Json ext_authz);
// The virtual host's say; of a destination with `authorize: connection`.
Json SkipVetted(const policy::Destination& destination, std::uint16_t port);

// The ext_authz inside, when this filter is exactly what AskedUnlessVetted makes; else null.
const Json& ExtAuthzInside(const Json& filter_config);
// Whether a virtual host with these domains skips no more than the rule above.
bool IsBoundSkip(const Json& per_route, const Json& domains);

}  // namespace exeat::envoy
