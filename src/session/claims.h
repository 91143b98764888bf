// What a session token says.
//
// Shapes:   iss is the deployment, aud is always kTokenAudience, sid names the session over
// renewals,
//           jti one token of it, sub whom it stands for; grants open destinations.
//           Texts are 1 to 128 visible ASCII characters without quotes, backslash and comma, so
//           that they stand unescaped in headers, logs and lists; at most 64 grants.
// Units:    iat, nbf and exp are UTC seconds; exp is exclusive.
// Errors:   CheckClaims kInvalidArgument, naming the claim and never its value.
// Source:   RFC 7519 section 4.1, docs/adr/0004-session-tokens.md
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace exeat::session {

inline constexpr std::string_view kTokenAudience = "exeat";
inline constexpr std::string_view kTokenType = "exeat-session+jwt";  // the header's typ
inline constexpr std::size_t kMaxClaimBytes = 128;
inline constexpr std::size_t kMaxGrants = 64;
inline constexpr std::chrono::seconds kMaxTokenLifetime{3600};
inline constexpr std::chrono::seconds kMaxSkew{60};             // between our clock and another's
inline constexpr base::UnixSeconds kMaxTime = 253'402'300'799;  // the last second of the year 9999

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

// Whether `text` may be an iss, sub, sid, jti or grant.
bool IsClaimText(std::string_view text);
// Every text is one, and every time lies between 1970 and kMaxTime.
base::Status CheckClaims(const Claims& claims);

// New ids of 128 random bits in URL-safe characters. kUnavailable without randomness.
base::StatusOr<std::string> NewSessionId();
base::StatusOr<std::string> NewTokenId();

}  // namespace exeat::session
