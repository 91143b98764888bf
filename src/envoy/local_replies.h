// What a guest reads when Envoy itself refuses: status, x-deny-reason and body by cause.
//
// Why here:  Envoy's own texts differ by filter and, for upstream TLS, hold the peer's names; the
//            guest gets the closed set of docs/denials.md with the same body that Check writes.
// Shapes:    mappers are tried in order and the first that fits wins. A cause without a mapper of
//            its own is authz_unavailable at 5xx and request_malformed below.
//            A request that the codec refused has no id yet: its body says "-".
// Limits:    local replies only; an upstream's 403 or 429 passes as it is.
// Source:    docs/denials.md
#pragma once

#include "envoy/json.h"

namespace exeat::envoy {

// local_reply_config of the explicit listener: 401 becomes 407 with a challenge.
Json ConnectReplies();
// local_reply_config of the bumped chain.
Json BumpedReplies();

}  // namespace exeat::envoy
