// The signature layer of a token: compact JWS, one algorithm, no help from its own header.
//
// Shapes:   three strict base64url parts; the header is one JSON object with alg "ES256" and a
// known
//           kid. Members that would choose or fetch a key, or change how the token is read, refuse
//           it.
// Errors:   nullopt: the presenter learns nothing about which rule it broke.
// Source:   RFC 7515, RFC 7518 section 3.4, RFC 8725
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "session/jwk_set.h"

namespace exeat::session {

struct VerifiedJws {
  std::string payload;
  std::string typ;  // empty when the header has none
};

std::optional<VerifiedJws> VerifyCompactJws(std::string_view token, const JwkSet& keys);

}  // namespace exeat::session
