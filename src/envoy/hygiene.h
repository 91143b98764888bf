// Which headers never cross the edge, in either direction.
//
// Why here:  one list, so that the route that strips and the cluster that strips again agree.
// Fail mode: a header nobody thought of passes; hence the prefixes beside the exact names.
// Source:    docs/walkthroughs/request.md
#pragma once

#include <string>
#include <vector>

#include "envoy/json.h"
#include "policy/policy.h"

namespace exeat::envoy {

// Exact names removed from every request before it leaves, whatever destination.
std::vector<std::string> RequestHeadersToRemove(const policy::Policy& policy);
// Exact names removed from every upstream's response.
std::vector<std::string> ResponseHeadersToRemove(const policy::Policy& policy);

// Stands first in the chain, so that it is the last to touch an answer. A handshake that the origin
// answers 2xx or 3xx becomes a local reply with the origin's headers, which neither the route's
// removal nor the cluster's filter sees. The list travels with the routes, so that a changed policy
// drains no listener; our own x-deny-reason is not on it, because the filter sees our denials too.
inline constexpr char kCleanerFilter[] = "envoy.filters.http.header_mutation";
inline constexpr char kCleanerMessage[] =
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
inline constexpr char kCleaningMessage[] =
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute";
Json Cleaner();
Json Cleaning(const policy::Policy& policy);

// The upstream filter that removes both lists' prefixes once more, just before injection.
Json HygieneFilter(const policy::Policy& policy);

// Removes what only we may write, then writes it: early, before any filter reads a header.
// `own` are SetHeader values.
Json EarlyMutation(const std::vector<Json>& own);

}  // namespace exeat::envoy
