#include "crypto/p256.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>

#include <algorithm>

#include "crypto/der.h"
#include "crypto/pem.h"

namespace exeat::crypto {
namespace {

constexpr char kGroup[] = "P-256";

// PKCS#8 around an ECPrivateKey of P-256 (RFC 5958, RFC 5915), up to the private scalar and from
// there to the public point: every length in it is fixed.
constexpr std::string_view kBeforeScalar(
    "\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
    "\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
    36);
constexpr std::string_view kBeforePoint("\xa1\x44\x03\x42\x00", 5);

using PointPtr = std::unique_ptr<EC_POINT, OpenSslDeleter<EC_POINT_clear_free>>;
using BnCtxPtr = std::unique_ptr<BN_CTX, OpenSslDeleter<BN_CTX_free>>;

const EC_GROUP* Group() {
  static const EC_GROUP* const kP256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  return kP256;
}

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

Scalar::~Scalar() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

std::string NewScalarAndPoint(Scalar& scalar) {
  const EC_GROUP* const group = Group();
  // Made anew each time, since its scratch numbers may hold parts of the scalar until freed.
  const BnCtxPtr scratch(BN_CTX_secure_new());
  const BnPtr number(BN_secure_new());
  if (group == nullptr || scratch == nullptr || number == nullptr) return {};
  const PointPtr point(EC_POINT_new(group));
  do {
    if (BN_priv_rand_range(number.get(), EC_GROUP_get0_order(group)) != 1) return {};
  } while (BN_is_zero(number.get()));
  unsigned char encoded[kPointBytes];
  if (point == nullptr ||
      EC_POINT_mul(group, point.get(), number.get(), nullptr, nullptr, scratch.get()) != 1 ||
      EC_POINT_point2oct(group, point.get(), POINT_CONVERSION_UNCOMPRESSED, encoded,
                         sizeof(encoded), scratch.get()) != kPointBytes ||
      BN_bn2binpad(number.get(), scalar.bytes.data(), kScalarBytes) !=
          static_cast<int>(kScalarBytes)) {
    return {};
  }
  return {reinterpret_cast<const char*>(encoded), kPointBytes};
}

base::Secret PemOf(const Scalar& scalar, std::string_view point) {
  std::array<unsigned char, kBeforeScalar.size() + kScalarBytes + kBeforePoint.size() + kPointBytes>
      der;
  auto* out = std::copy(kBeforeScalar.begin(), kBeforeScalar.end(), der.begin());
  out = std::copy(scalar.bytes.begin(), scalar.bytes.end(), out);
  out = std::copy(kBeforePoint.begin(), kBeforePoint.end(), out);
  std::copy_n(point.begin(), kPointBytes, out);
  base::Secret pem(
      PemEncode(kPrivateKeyLabel, {reinterpret_cast<const char*>(der.data()), der.size()}));
  OPENSSL_cleanse(der.data(), der.size());
  return pem;
}

}  // namespace exeat::crypto
