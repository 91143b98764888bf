// The two forms of a P-256 ECDSA signature: DER (X.509) and raw r|s (JWS).
//
// Shapes:   raw is 64 bytes, r and s big-endian of 32 each.
// Errors:   nullopt for anything but the one right spelling: negative, padded, oversized or
//           trailing bytes. Whether r and s lie in range is the verification's to say.
// Source:   RFC 3279 section 2.2.3, RFC 7518 section 3.4
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace exeat::crypto {

inline constexpr std::size_t kRawSignatureBytes = 64;

std::optional<std::string> RawFromDerSignature(std::string_view der);
std::optional<std::string> DerFromRawSignature(std::string_view raw);

}  // namespace exeat::crypto
