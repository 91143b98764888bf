// A JWKS document as the public keys it holds.
//
// Shapes:   every key has kid, alg ES256, kty EC, crv P-256 and a point on that curve; use, if
//           there, is sig; key_ops, if there, is verify alone. At most 64 keys in 64 KiB.
// Errors:   kFailedPrecondition an empty set; kInvalidArgument anything else, naming the key's
//           place in the list. One bad key refuses the set: a half-loaded one would hide the fault.
// Threads:  const methods are safe concurrently.
// Source:   RFC 7517, RFC 7518 section 6.2
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/key.h"

namespace exeat::session {

class JwkSet {
 public:
  static base::StatusOr<JwkSet> Parse(std::string_view document);

  // nullptr when there is no such key.
  const crypto::PublicKey* Find(std::string_view kid) const;

 private:
  std::map<std::string, crypto::PublicKey, std::less<>> keys_;
};

}  // namespace exeat::session
