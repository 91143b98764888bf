// Whether a stream that was allowed once would still be allowed.
//
// Why here:   what ends streams by a policy and what looks again for streams that should have ended
//             must mean the same.
// Exactness:  a stream is known by the rule that permitted it, not by its own method and path: it
//             goes on where the new rules permit everything that one did.
// Fail mode:  what is not known of a stream counts as not permitted.
// Threads:    pure functions.
// Source:     docs/adr/0015-open-streams.md
#pragma once

#include "authz/decision.h"
#include "limits/open_streams.h"
#include "policy/policy.h"

namespace exeat::authz {

// Under this policy, whoever the session is.
bool Permits(const policy::Policy& policy, const limits::OpenStream& stream);

// Also by the denylist. Not looked at: the token's end.
bool HasRight(const limits::OpenStream& stream, const Snapshot& snapshot);

}  // namespace exeat::authz
