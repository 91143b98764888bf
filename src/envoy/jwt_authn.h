// jwt_authn for CONNECT and for the bumped chain, delivered as ECDS so that a key change drains
// nothing.
//
// Shapes:    one provider a place where a token may stand; the first rule that fits decides. The
//            tunnel's token alone satisfies a request inside a tunnel; x-exeat-session beside it is
//            verified too, under a metadata key of its own; key places count only where neither
//            named the session.
// Fail mode: every rule requires a provider and the last rules match everything. They are the
//            tunnel's, the strictest, so an unknown leg is refused: without `explicit` there is no
//            tunnel token.
// Trust:     tokens are forwarded inside the chain, so that Check can verify them itself; the
//            routes strip every place afterwards.
// Source:    docs/adr/0004-session-tokens.md
#pragma once

#include <cstdint>
#include <string>

#include "envoy/json.h"

namespace exeat::envoy {

struct TokenTrust {
  std::string issuer;       // iss
  std::string jwks;         // public keys, as a JSON document
  std::int64_t skew_s = 0;  // for exp and nbf
};

Json JwtConnectFilter(const TokenTrust& trust);
Json JwtBumpFilter(const TokenTrust& trust);

}  // namespace exeat::envoy
