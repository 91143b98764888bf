// Why a request is refused: the closed set of docs/denials.md, with its HTTP form.
//
// Fail mode: Reason's default is kAuthzUnavailable, a denial; there is no "none" in it.
// Source:    docs/denials.md
#pragma once

#include <string>
#include <string_view>

namespace exeat::authz {

enum class Reason {
  kAuthzUnavailable,
  kTokenMissing,
  kTokenInvalid,
  kTokenExpired,
  kTokenAudience,
  kTokenConflict,
  kSessionRevoked,
  kDenylistStale,
  kDestinationNotAllowed,
  kPortNotAllowed,
  kGrantMissing,
  kMethodNotAllowed,
  kPathNotAllowed,
  kAddressDenied,
  kAuthorityMismatch,
  kRateLimited,
  kConcurrencyLimited,
  kPostureDenyAll,
  kCredentialUnavailable,
  kUpstreamTls,
  kUpstreamUnreachable,
  kUpstreamTimeout,
  kCleartextNotAllowed,
  kAuditUnavailable,
  kLimiterUnavailable,
  kStreamUncuttable,
  kRequestMalformed,
};

// The code as it stands in x-deny-reason, e.g. "grant_missing".
std::string_view Code(Reason reason);
// The HTTP status on the bumped leg; CONNECT turns 401 into 407.
int HttpStatus(Reason reason);
// Says that this is policy and what a person could change; never another session's facts.
std::string_view Detail(Reason reason);
// Whether trying again later, unchanged, can succeed.
bool MayRetry(Reason reason);

// The JSON body. `retry_after_s` is printed as 0 unless MayRetry.
std::string DenialBody(Reason reason, std::string_view request_id, int retry_after_s);

}  // namespace exeat::authz
