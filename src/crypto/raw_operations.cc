#include "crypto/raw_operations.h"

#include <array>
#include <utility>

#include "crypto/openssl_ptr.h"
#include "crypto/p256.h"

namespace exeat::crypto {
namespace {

class Prepared final : public RawOperations {
 public:
  Prepared(PkeyPtr key, PkeyCtxPtr generator, PkeyCtxPtr signer)
      : key_(std::move(key)), generator_(std::move(generator)), signer_(std::move(signer)) {}

  bool Generate() override {
    EVP_PKEY* made = nullptr;
    const bool ok = EVP_PKEY_generate(generator_.get(), &made) == 1;
    EVP_PKEY_free(made);
    return ok;
  }

  bool Sign() override {
    std::array<unsigned char, 72> signature;
    std::size_t length = signature.size();
    return EVP_PKEY_sign(signer_.get(), signature.data(), &length, digest_.data(),
                         digest_.size()) == 1;
  }

 private:
  const PkeyPtr key_;
  const PkeyCtxPtr generator_;
  const PkeyCtxPtr signer_;
  const std::array<unsigned char, 32> digest_{1, 2, 3};
};

}  // namespace

base::StatusOr<std::unique_ptr<RawOperations>> RawOperations::Make() {
  PkeyPtr key = GenerateP256();
  PkeyCtxPtr generator(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  PkeyCtxPtr signer(key == nullptr ? nullptr
                                   : EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (generator == nullptr || signer == nullptr || EVP_PKEY_keygen_init(generator.get()) != 1 ||
      EVP_PKEY_CTX_set_group_name(generator.get(), "P-256") != 1 ||
      EVP_PKEY_sign_init(signer.get()) != 1) {
    return OpenSslStatus(base::StatusCode::kInternal, "cannot prepare P-256");
  }
  return std::make_unique<Prepared>(std::move(key), std::move(generator), std::move(signer));
}

}  // namespace exeat::crypto
