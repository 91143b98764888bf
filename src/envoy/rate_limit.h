// The rate-limit place of the chain on one edge: Envoy's local buckets, keyed on the verified sid.
//
// Shapes:   one bucket a session, and one a session and limited destination; they refill evenly.
//           The destination comes from route metadata, so all its ports share one bucket.
//           x-ratelimit-* headers tell of these buckets only.
// Why ECDS: buckets in the filter list outlive a route push, and a changed limit drains nothing.
//           An unchanged filter is not sent again, so an apply refills nobody's bucket.
// Fail mode: a missing sid shares one bucket; never none.
// Source:   docs/adr/0012-limits.md
#pragma once

#include <cstdint>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// `max_live_sessions` bounds the sessions whose buckets are kept: beyond it they reset each other.
Json RateLimitFilter(const policy::Policy& policy, std::uint32_t max_live_sessions);

}  // namespace exeat::envoy
