// Finds the session token among the places of a request where it may stand, and has it verified.
//
// Why here:   which place names the session is the whole of a guest's identity; the rule stands in
//             one file so that it can be held against Envoy's jwt_authn rules, which say the same.
// Shapes:     CONNECT: Proxy-Authorization, Basic (password, else user) or Bearer. Inside a tunnel:
//             the tunnel's token, with x-exeat-session at most repeating its session. Else
//             x-exeat-session alone, else the first of Authorization Bearer and x-api-key that
//             verifies.
// Fail mode:  a default-constructed Presented is a refusal.
// Threads:    a pure function.
// Source:     docs/walkthroughs/request.md
#pragma once

#include <memory>
#include <optional>

#include "authz/decision.h"
#include "authz/reason.h"
#include "base/secret.h"
#include "session/verifier.h"

namespace exeat::authz {

struct Presented {
  std::optional<Reason> refusal = Reason::kTokenInvalid;  // nullopt: `claims` name the session
  // Also beside a refusal, when one token verified and another place spoiled it.
  std::shared_ptr<const session::VerifiedClaims> claims;
  base::Secret token;  // kConnect, verified
};

Presented ReadToken(const Facts& facts, const session::Verifier& verifier);

}  // namespace exeat::authz
