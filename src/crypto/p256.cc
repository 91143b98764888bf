#include "crypto/p256.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

#include "crypto/der.h"

namespace exeat::crypto {
namespace {

constexpr char kGroup[] = "P-256";

}  // namespace

PkeyPtr GenerateP256() {
  // One a thread: preparing it costs about a tenth of a key.
  thread_local const PkeyCtxPtr context = [] {
    PkeyCtxPtr made(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    if (made == nullptr || EVP_PKEY_keygen_init(made.get()) != 1 ||
        EVP_PKEY_CTX_set_group_name(made.get(), kGroup) != 1) {
      made.reset();
    }
    return made;
  }();
  EVP_PKEY* key = nullptr;
  if (context == nullptr || EVP_PKEY_generate(context.get(), &key) != 1) return nullptr;
  return PkeyPtr(key);
}

bool IsP256(const EVP_PKEY* key) {
  char group[32];
  std::size_t length = 0;
  if (!EVP_PKEY_is_a(key, "EC") ||
      EVP_PKEY_get_group_name(key, group, sizeof(group), &length) != 1) {
    return false;
  }
  const std::string_view name(group, length);
  return name == "prime256v1" || name == kGroup;
}

std::string PointOf(const EVP_PKEY* key) {
  unsigned char point[kPointBytes];
  std::size_t length = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                      &length) != 1 ||
      length != kPointBytes || point[0] != 0x04) {
    return {};
  }
  return {reinterpret_cast<const char*>(point), length};
}

PkeyPtr KeyOfPoint(std::string_view point) {
  if (point.size() != kPointBytes || point[0] != 0x04) return nullptr;
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(kGroup), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(point.data()),
                                        point.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters) != 1) return nullptr;
  PkeyPtr key(made);
  const PkeyCtxPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (check == nullptr || EVP_PKEY_public_check(check.get()) != 1) return nullptr;
  return key;
}

std::string SpkiOfPoint(std::string_view point) {
  static const std::string kAlgorithm =
      der::Sequence({der::Oid({1, 2, 840, 10045, 2, 1}), der::Oid({1, 2, 840, 10045, 3, 1, 7})});
  return der::Sequence({kAlgorithm, der::BitString(point)});
}

}  // namespace exeat::crypto
