#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <climits>

#include "crypto/context_pool.h"
#include "crypto/ecdsa_signature.h"
#include "crypto/p256.h"

namespace exeat::crypto {
namespace {

constexpr std::size_t kMaxDerSignatureBytes = 72;

base::Status Refused(const std::string& what) {
  return OpenSslStatus(base::StatusCode::kInternal, what);
}

}  // namespace

struct PublicKey::State {
  State(PkeyPtr of, std::string_view point)
      : key(std::move(of)),
        x(point.substr(1, kScalarBytes)),
        y(point.substr(1 + kScalarBytes)),
        verifiers(key.get(), EVP_PKEY_verify_init) {}
  PkeyPtr key;
  std::string x;
  std::string y;
  ContextPool verifiers;
};

PublicKey::PublicKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
PublicKey::PublicKey(PublicKey&&) noexcept = default;
PublicKey& PublicKey::operator=(PublicKey&&) noexcept = default;
PublicKey::~PublicKey() = default;

const std::string& PublicKey::x() const { return state_->x; }
const std::string& PublicKey::y() const { return state_->y; }
std::string PublicKey::SpkiDer() const { return SpkiOfPoint("\x04" + state_->x + state_->y); }

base::StatusOr<PublicKey> PublicKey::FromPoint(std::string_view x, std::string_view y) {
  if (x.size() != kScalarBytes || y.size() != kScalarBytes) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "P-256 coordinates must be 32 bytes each");
  }
  const std::string point = std::string("\x04").append(x).append(y);
  PkeyPtr key = KeyOfPoint(point);
  if (key == nullptr) {
    return OpenSslStatus(base::StatusCode::kInvalidArgument, "point is not on P-256");
  }
  return PublicKey(std::make_unique<State>(std::move(key), point));
}

bool PublicKey::VerifyDer(std::string_view message, std::string_view signature) const {
  PkeyCtxPtr context = state_->verifiers.Take();
  if (context == nullptr) return false;
  const Sha256Digest digest = Sha256(message);
  const int verified =
      EVP_PKEY_verify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                      signature.size(), digest.data(), digest.size());
  if (verified >= 0) state_->verifiers.Return(std::move(context));
  ERR_clear_error();
  return verified == 1;
}

bool PublicKey::VerifyRaw(std::string_view message, std::string_view signature) const {
  const auto der = DerFromRawSignature(signature);
  return der.has_value() && VerifyDer(message, *der);
}

struct PrivateKey::State {
  explicit State(PkeyPtr of) : key(std::move(of)), signers(key.get(), EVP_PKEY_sign_init) {}
  PkeyPtr key;
  ContextPool signers;
};

PrivateKey::PrivateKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

base::StatusOr<PrivateKey> PrivateKey::Generate() {
  PkeyPtr key = GenerateP256();
  if (key == nullptr) return Refused("cannot make a P-256 key");
  return PrivateKey(std::make_unique<State>(std::move(key)));
}

base::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  if (pem.size() > INT_MAX) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "private key: too large");
  }
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return Refused("private key");
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return OpenSslStatus(base::StatusCode::kInvalidArgument,
                         "not an unencrypted private key in PEM form");
  }
  if (!IsP256(key.get())) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "private key: not on P-256");
  }
  const PkeyCtxPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (check == nullptr || EVP_PKEY_check(check.get()) != 1) {
    return OpenSslStatus(base::StatusCode::kInvalidArgument,
                         "private key: its halves do not belong together");
  }
  return PrivateKey(std::make_unique<State>(std::move(key)));
}

base::StatusOr<base::Secret> PrivateKey::ToPem() const {
  const std::string point = PointOf(state_->key.get());
  BIGNUM* number = nullptr;
  if (point.empty() ||
      EVP_PKEY_get_bn_param(state_->key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1) {
    return Refused("cannot read the private key");
  }
  const BnPtr owned(number);
  Scalar scalar;
  if (BN_bn2binpad(number, scalar.bytes.data(), kScalarBytes) != static_cast<int>(kScalarBytes)) {
    return Refused("cannot read the private key");
  }
  return PemOf(scalar, point);
}

base::StatusOr<PublicKey> PrivateKey::Public() const {
  const std::string point = PointOf(state_->key.get());
  if (point.empty()) return Refused("cannot read the public key");
  return PublicKey::FromPoint(std::string_view(point).substr(1, kScalarBytes),
                              std::string_view(point).substr(1 + kScalarBytes));
}

base::StatusOr<std::string> PrivateKey::SpkiDer() const {
  const std::string point = PointOf(state_->key.get());
  if (point.empty()) return Refused("cannot read the public key");
  return SpkiOfPoint(point);
}

base::StatusOr<std::string> PrivateKey::SignDer(std::string_view message) const {
  const Sha256Digest digest = Sha256(message);
  PkeyCtxPtr context = state_->signers.Take();
  std::string signature(kMaxDerSignatureBytes, '\0');
  std::size_t length = signature.size();
  if (context == nullptr ||
      EVP_PKEY_sign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                    digest.data(), digest.size()) != 1) {
    return Refused("cannot sign");
  }
  state_->signers.Return(std::move(context));
  signature.resize(length);
  return signature;
}

base::StatusOr<std::string> PrivateKey::SignRaw(std::string_view message) const {
  ASSIGN_OR_RETURN(const std::string der, SignDer(message));
  auto raw = RawFromDerSignature(der);
  if (!raw.has_value()) return Refused("signature in an unexpected form");
  return *std::move(raw);
}

base::StatusOr<KeyMaterial> NewKeyMaterial() {
  Scalar scalar;
  const std::string point = NewScalarAndPoint(scalar);
  if (point.empty()) return Refused("cannot make a P-256 key");
  return KeyMaterial{SpkiOfPoint(point), PemOf(scalar, point)};
}

}  // namespace exeat::crypto
