// What a session token says.
//
// Shapes:   iss is the deployment, aud is always kTokenAudience, sid names the session over renewals,
//           jti one token of it, sub whom it stands for; grants open destinations.
// Units:    iat, nbf and exp are UTC seconds; exp is exclusive.
// Source:   RFC 7519 section 4.1, docs/adr/0004-session-tokens.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace exeat::session {

inline constexpr std::string_view kTokenAudience = "exeat";
inline constexpr std::string_view kTokenType = "exeat-session+jwt";  // the header's typ

struct Claims {
  std::string iss;
  std::string sub;
  std::string sid;
  std::string jti;
  base::UnixSeconds iat = 0;
  base::UnixSeconds nbf = 0;
  base::UnixSeconds exp = 0;
  std::vector<std::string> grants;
  bool operator==(const Claims&) const = default;
};

}  // namespace exeat::session
