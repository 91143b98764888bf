// Access logs: every outcome goes to our control plane, which joins it to the intent.
//
// Never:   a token or a credential: request headers are not logged at all.
// Limits:  Envoy drops entries silently when the receiver is away, so audit rests on the intents
//          that Check writes and not on these.
#pragma once

#include <string>

#include "envoy/json.h"

namespace exeat::envoy {

// The access_log of an HTTP connection manager; `leg` is a leg or a format that gives one.
Json HttpAccessLog(const std::string& leg);
// The access_log of `bump`: connections that end before a filter chain, such as unlisted SNI.
Json ConnectionAccessLog();

}  // namespace exeat::envoy
