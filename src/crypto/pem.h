// PEM (RFC 7468): DER as text between two marker lines.
#pragma once

#include <string>
#include <string_view>

namespace exeat::crypto {

inline constexpr std::string_view kCertificateLabel = "CERTIFICATE";
inline constexpr std::string_view kPrivateKeyLabel = "PRIVATE KEY";

// Lines of 64 characters, one newline at the end. Leaves no second copy of `der` behind, so it may
// be given a key; wiping the result is the caller's business.
std::string PemEncode(std::string_view label, std::string_view der);

}  // namespace exeat::crypto
