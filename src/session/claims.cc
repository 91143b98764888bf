#include "session/claims.h"

#include <algorithm>

#include "crypto/random.h"

namespace exeat::session {
namespace {

base::Status Refuse(const std::string& claim) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument,
                          claim +
                              ": expected 1 to 128 visible ASCII characters without quotes, "
                              "backslash or comma");
}

}  // namespace

bool IsClaimText(std::string_view text) {
  return !text.empty() && text.size() <= kMaxClaimBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < '\x7f' && c != '"' && c != '\'' && c != '\\' && c != ',';
         });
}

base::Status CheckClaims(const Claims& claims) {
  if (!IsClaimText(claims.iss)) return Refuse("iss");
  if (!IsClaimText(claims.sub)) return Refuse("sub");
  if (!IsClaimText(claims.sid)) return Refuse("sid");
  if (!IsClaimText(claims.jti)) return Refuse("jti");
  if (claims.grants.size() > kMaxGrants) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "grants: more than 64");
  }
  for (const std::string& grant : claims.grants) {
    if (!IsClaimText(grant)) return Refuse("grants");
  }
  for (const base::UnixSeconds time : {claims.iat, claims.nbf, claims.exp}) {
    if (time < 0 || time > kMaxTime) {
      return base::MakeStatus(base::StatusCode::kInvalidArgument,
                              "iat, nbf, exp: expected UTC seconds from 1970 to 9999");
    }
  }
  return absl::OkStatus();
}

base::StatusOr<std::string> NewSessionId() { return crypto::RandomId(); }
base::StatusOr<std::string> NewTokenId() { return crypto::RandomId(); }

}  // namespace exeat::session
