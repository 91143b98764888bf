#include "crypto/pem.h"

#include <openssl/evp.h>

namespace exeat::crypto {

std::string PemEncode(std::string_view label, std::string_view der) {
  constexpr std::size_t kBytesPerLine = 48;
  const std::size_t lines = (der.size() + kBytesPerLine - 1) / kBytesPerLine;
  const std::size_t body = (der.size() + 2) / 3 * 4 + lines;
  std::string out;
  // One allocation: growing would leave copies of a key in freed memory.
  out.reserve(2 * (label.size() + 24) + body);
  out.append("-----BEGIN ").append(label).append("-----\n");
  std::size_t at = out.size();
  out.resize(at + body);
  while (!der.empty()) {
    const std::string_view line = der.substr(0, kBytesPerLine);
    // Writes a NUL behind its text, where the newline goes.
    at += static_cast<std::size_t>(EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(&out[at]),
        reinterpret_cast<const unsigned char*>(line.data()), static_cast<int>(line.size())));
    out[at++] = '\n';
    der.remove_prefix(line.size());
  }
  out.append("-----END ").append(label).append("-----\n");
  return out;
}

}  // namespace exeat::crypto
