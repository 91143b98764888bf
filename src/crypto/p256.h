// What OpenSSL is asked for P-256 keys. Only for this room.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "crypto/openssl_ptr.h"

namespace exeat::crypto {

inline constexpr std::size_t kPointBytes = 65;  // 0x04 | x | y

// A new key; null when OpenSSL refuses.
PkeyPtr GenerateP256();
bool IsP256(const EVP_PKEY* key);
// Empty when OpenSSL refuses.
std::string PointOf(const EVP_PKEY* key);
// Null unless the point is uncompressed and on the curve.
PkeyPtr KeyOfPoint(std::string_view point);
std::string SpkiOfPoint(std::string_view point);

inline constexpr std::size_t kScalarBytes = 32;
// Wipes itself.
struct Scalar {
  std::array<unsigned char, kScalarBytes> bytes{};
  ~Scalar();
};
// A new private scalar and its point, the way OpenSSL's own generator makes them but without a key
// object around them. Empty when OpenSSL refuses.
std::string NewScalarAndPoint(Scalar& scalar);
// PKCS#8 in PEM form.
base::Secret PemOf(const Scalar& scalar, std::string_view point);

}  // namespace exeat::crypto
