#include "crypto/pem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace exeat::crypto {

std::string PemEncode(std::string_view label, std::string_view der) {
  constexpr std::size_t kBytesPerLine = 48;
  const std::size_t lines = (der.size() + kBytesPerLine - 1) / kBytesPerLine;
  std::string out;
  // One allocation: growing would leave copies of a key in freed memory.
  out.reserve(2 * (label.size() + 24) + (der.size() + 2) / 3 * 4 + lines);
  out.append("-----BEGIN ").append(label).append("-----\n");
  while (!der.empty()) {
    const std::string_view line = der.substr(0, kBytesPerLine);
    unsigned char encoded[kBytesPerLine / 3 * 4 + 1];
    const int length = EVP_EncodeBlock(encoded, reinterpret_cast<const unsigned char*>(line.data()),
                                       static_cast<int>(line.size()));
    out.append(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(length));
    out.push_back('\n');
    der.remove_prefix(line.size());
    if (der.empty()) OPENSSL_cleanse(encoded, sizeof(encoded));
  }
  out.append("-----END ").append(label).append("-----\n");
  return out;
}

}  // namespace exeat::crypto
