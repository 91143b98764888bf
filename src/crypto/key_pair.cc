#include "crypto/key_pair.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <array>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "crypto/openssl_ptr.h"
#include "crypto/pem.h"

namespace exeat::crypto {
namespace {

constexpr int kLeastRsaBits = 2048;

base::Status Invalid(const char* what) {
  ERR_clear_error();
  return base::MakeStatus(base::StatusCode::kInvalidArgument, what);
}

BioPtr Reading(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

X509Ptr NextCertificate(BIO* bio) {
  return X509Ptr(PEM_read_bio_X509(bio, nullptr, NoPassphrase, nullptr));
}

// Empty unless every certificate there can be read.
std::vector<X509Ptr> CertificatesIn(std::string_view text) {
  std::vector<X509Ptr> all;
  const BioPtr bio = Reading(text);
  if (bio == nullptr) return all;
  while (X509Ptr next = NextCertificate(bio.get())) all.push_back(std::move(next));
  const auto last = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end) all.clear();
  return all;
}

std::string PemOf(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int length = i2d_X509(certificate, &bytes);
  if (length <= 0) return {};
  const std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  OPENSSL_free(bytes);
  return PemEncode(kCertificateLabel, der);
}

bool IsOfKindThatEnvoyTakes(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return EVP_PKEY_get_bits(key) >= kLeastRsaBits;
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return false;
  const int curve = OBJ_txt2nid(group.data());
  return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1 || curve == NID_secp521r1;
}

}  // namespace

base::StatusOr<std::string> ChainOfKey(std::string_view chain, std::string_view key) {
  ERR_clear_error();
  const std::vector<X509Ptr> certificates = CertificatesIn(chain);
  if (certificates.empty()) {
    return Invalid("the certificate is not one or more certificates in PEM form");
  }
  const BioPtr bio = Reading(key);
  const PkeyPtr parsed(bio == nullptr
                           ? nullptr
                           : PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (parsed == nullptr) return Invalid("the key is not an unencrypted private key in PEM form");
  if (!IsOfKindThatEnvoyTakes(parsed.get())) {
    return Invalid("the key must be RSA of 2048 bits or more, or EC on P-256, P-384 or P-521");
  }
  const bool fits = X509_check_private_key(certificates.front().get(), parsed.get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return base::MakeStatus(base::StatusCode::kAborted,
                            "the certificate is not of this key: replace both, or put both into "
                            "one file that is named twice");
  }
  std::string alone;
  for (const X509Ptr& certificate : certificates) alone += PemOf(certificate.get());
  return alone;
}

}  // namespace exeat::crypto
