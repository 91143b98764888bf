// The claims of a token that was verified, with the keys that the denylist is asked for.
//
// Threads:  immutable once made; shared between the remembered tokens and every verdict.
// Source:   docs/adr/0007-denylist.md
#pragma once

#include <utility>

#include "revocation/denylist.h"
#include "session/claims.h"

namespace exeat::session {

struct VerifiedClaims : Claims {
  explicit VerifiedClaims(Claims claims) : Claims(std::move(claims)), identity(sid, jti, sub) {}
  const revocation::Identity identity;
};

}  // namespace exeat::session
