// The deployment's own signing keys: made at first start, kept in the state directory, rotated
// without a gap.
//
// Shapes:   ES256 (P-256) keys, each a file `KID.pem` of mode 0600 in one directory; one of them
//           signs, the others only verify until the last token they signed has ended. `keys.json`
//           beside them says which signs and when the others were retired; a key file it does not
//           name (left by a crash before first use) is never used.
// Errors:   kFailedPrecondition a directory or key that is not as it should be, naming the path;
//           nothing is overwritten. Sign: kInvalidArgument claims that CheckClaims refuses, that
//           last longer than kMaxTokenLifetime or make a token over kMaxTokenBytes.
// Threads:  methods are safe concurrently.
// Source:   RFC 7515, RFC 7517, docs/adr/0004-session-tokens.md
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "session/claims.h"

namespace exeat::session {

class SigningKeys {
 public:
  // Loads the keys of `directory` (made 0700 if absent) and makes the first one if there is none.
  static base::StatusOr<std::unique_ptr<SigningKeys>> Open(const std::string& directory,
                                                           const base::Clock& clock);
  virtual ~SigningKeys() = default;

  // The token for these claims: compact JWS, header {alg, kid, typ}.
  virtual base::StatusOr<std::string> Sign(const Claims& claims) const = 0;
  // The public keys as a JWKS document, each with kid, alg and use.
  virtual std::string Jwks() const = 0;
  // A new key signs from now on; the old ones still verify. Durable before it is used.
  virtual base::Status Rotate() = 0;
  // Forgets the keys retired before `retired_before`, for good; never the signing one. With
  // std::numeric_limits<base::UnixSeconds>::max() every retired key goes.
  virtual base::Status WithdrawRetired(base::UnixSeconds retired_before) = 0;
};

}  // namespace exeat::session
