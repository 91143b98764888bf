#include "crypto/ecdsa_signature.h"

#include "crypto/der.h"

namespace exeat::crypto {
namespace {

constexpr std::size_t kScalarBytes = kRawSignatureBytes / 2;

// Takes one minimal non-negative INTEGER of at most 32 bytes off `der` and appends it padded.
bool TakeScalar(std::string_view& der, std::string& raw) {
  if (der.size() < 3 || der[0] != der::kInteger) return false;
  const auto length = static_cast<unsigned char>(der[1]);
  if (length == 0 || length > kScalarBytes + 1 || der.size() < 2U + length) return false;
  std::string_view value = der.substr(2, length);
  const auto first = static_cast<unsigned char>(value[0]);
  if (first >= 0x80) return false;
  if (first == 0 && value.size() > 1) {
    if (static_cast<unsigned char>(value[1]) < 0x80) return false;
    value.remove_prefix(1);
  }
  if (value.size() > kScalarBytes) return false;
  raw.append(kScalarBytes - value.size(), '\0').append(value);
  der.remove_prefix(2U + length);
  return true;
}

}  // namespace

std::optional<std::string> RawFromDerSignature(std::string_view der) {
  if (der.size() < 2 || der[0] != der::kSequence) return std::nullopt;
  const auto length = static_cast<unsigned char>(der[1]);
  if (length >= 0x80 || der.size() != 2U + length) return std::nullopt;
  der.remove_prefix(2);
  std::string raw;
  raw.reserve(kRawSignatureBytes);
  if (!TakeScalar(der, raw) || !TakeScalar(der, raw) || !der.empty()) return std::nullopt;
  return raw;
}

std::optional<std::string> DerFromRawSignature(std::string_view raw) {
  if (raw.size() != kRawSignatureBytes) return std::nullopt;
  return der::Sequence({der::UnsignedInteger(raw.substr(0, kScalarBytes)),
                        der::UnsignedInteger(raw.substr(kScalarBytes))});
}

}  // namespace exeat::crypto
