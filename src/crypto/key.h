// P-256 keys: made, loaded, stored, signing and verifying with SHA-256.
//
// Why here:  exeat signs tokens and leaves with one algorithm, so a key of another kind cannot
//            even be held.
// Shapes:    private keys are PKCS#8 PEM; points are x and y of 32 bytes each, big-endian.
// Errors:    kInvalidArgument not a P-256 key, or broken; kInternal OpenSSL refused.
// Fail mode: a signature that cannot be checked is not valid.
// Threads:   const methods are safe concurrently; contexts are pooled, since setting one up in
//            OpenSSL 3.0 takes locks.
// Source:    RFC 5915, RFC 5958, RFC 7518 section 3.4
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "crypto/digest.h"

namespace exeat::crypto {

class PublicKey {
 public:
  // Refuses coordinates that are not 32 bytes or not on the curve.
  static base::StatusOr<PublicKey> FromPoint(std::string_view x, std::string_view y);

  PublicKey(PublicKey&&) noexcept;
  PublicKey& operator=(PublicKey&&) noexcept;
  ~PublicKey();

  const std::string& x() const;
  const std::string& y() const;
  // SubjectPublicKeyInfo, 91 bytes of DER.
  std::string SpkiDer() const;

  bool VerifyDer(std::string_view message, std::string_view signature) const;
  bool VerifyRaw(std::string_view message, std::string_view signature) const;

 private:
  struct State;
  friend class PrivateKey;
  explicit PublicKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class PrivateKey {
 public:
  static base::StatusOr<PrivateKey> Generate();
  // Unencrypted PEM, PKCS#8 or SEC 1; the public half must belong to the private one.
  static base::StatusOr<PrivateKey> FromPem(std::string_view pem);

  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  base::StatusOr<base::Secret> ToPem() const;
  base::StatusOr<PublicKey> Public() const;
  base::StatusOr<std::string> SpkiDer() const;

  base::StatusOr<std::string> SignDer(std::string_view message) const;
  base::StatusOr<std::string> SignRaw(std::string_view message) const;

 private:
  struct State;
  explicit PrivateKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A new key that is only handed on, never used here: OpenSSL 3.0's key objects take longer to give
// their parts out than the arithmetic takes to make them.
struct KeyMaterial {
  std::string spki_der;
  base::Secret pem;  // PKCS#8
};
base::StatusOr<KeyMaterial> NewKeyMaterial();

}  // namespace exeat::crypto
