#include "crypto/digest.h"

#include <cstdlib>

#include "base/encoding.h"
#include "crypto/openssl_ptr.h"

namespace exeat::crypto {
namespace {

// Fetched once: a fetch in OpenSSL 3.0 takes locks and costs more than a short hash. Never freed,
// so that a thread that outlives main's statics may still hash.
const EVP_MD* Algorithm() {
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kSha256;
}

}  // namespace

Sha256Digest Sha256(std::string_view bytes) {
  thread_local const MdCtxPtr context(EVP_MD_CTX_new());
  Sha256Digest digest;
  unsigned length = 0;
  if (context == nullptr || EVP_DigestInit_ex2(context.get(), Algorithm(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1 || length != digest.size()) {
    std::abort();
  }
  return digest;
}

std::string_view AsBytes(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string Sha256Hex(std::string_view bytes) { return base::HexEncode(AsBytes(Sha256(bytes))); }

}  // namespace exeat::crypto
