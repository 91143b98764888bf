// Verifies a presented session token, and remembers the ones it has verified.
//
// Shapes:    JWS compact form, at most kMaxTokenBytes; ES256 only; `kid` and `typ` required; jwk,
//            jku, x5u, x5c and crit are refused, and nothing is ever fetched.
//            Every claim of claims.h is required; a JSON key that stands twice is refused. Another
//            issuer is kInvalid, another audience kAudience.
// Units:     now in UTC seconds; a token is good while nbf - skew <= now < exp + skew.
// Fail mode: a default-constructed Verification is kInvalid.
// Threads:   Verify is safe concurrently; SetKeys replaces the keys for every later call and drops
//            what was remembered.
// Source:    RFC 7515, RFC 7518 section 3.4, RFC 8725
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "session/verified_claims.h"

namespace exeat::session {

inline constexpr std::size_t kMaxTokenBytes = 4096;

enum class Rejection { kNone, kMissing, kInvalid, kExpired, kNotYetValid, kAudience };

struct Verification {
  Rejection rejection = Rejection::kInvalid;
  std::shared_ptr<const VerifiedClaims> claims;  // null unless rejection is kNone
  bool ok() const { return rejection == Rejection::kNone && claims != nullptr; }
};

class Verifier {
 public:
  struct Options {
    std::string issuer;  // the deployment
    std::chrono::seconds skew{5};
    std::size_t remembered_tokens = 65536;  // the oldest half is dropped
  };
  // `jwks` is a JWKS document (RFC 7517) whose keys all have kid, alg ES256, kty EC, crv P-256;
  // empty sets are kFailedPrecondition: nothing could verify. kInvalidArgument for a set that is
  // refused, an empty issuer, or a skew outside 0 to 60 seconds.
  static base::StatusOr<std::unique_ptr<Verifier>> Make(Options options, std::string_view jwks);
  virtual ~Verifier() = default;

  virtual Verification Verify(std::string_view token, base::UnixSeconds now) const = 0;
  // On error the old keys stay.
  virtual base::Status SetKeys(std::string_view jwks) = 0;
};

}  // namespace exeat::session
