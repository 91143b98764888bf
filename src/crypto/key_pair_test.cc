#include "crypto/key_pair.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "crypto/openssl_ptr.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::crypto {
namespace {

using base::StatusCode;
using base::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Written(const BioPtr& bio) {
  char* bytes = nullptr;
  const auto length = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<std::size_t>(length));
}

struct Pair {
  std::string certificate;
  std::string key;
};

Pair PairOf(EVP_PKEY* made, const char* passphrase = nullptr) {
  const PkeyPtr key(made);
  const X509Ptr x509(X509_new());
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
  X509_set_pubkey(x509.get(), key.get());
  const EVP_MD* digest = EVP_PKEY_is_a(key.get(), "ED25519") == 1 ? nullptr : EVP_sha256();
  EXPECT_GT(X509_sign(x509.get(), key.get(), digest), 0);
  const BioPtr certificate(BIO_new(BIO_s_mem())), pem(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate.get(), x509.get());
  const EVP_CIPHER* cipher = passphrase == nullptr ? nullptr : EVP_aes_128_cbc();
  PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), cipher, passphrase,
                                passphrase == nullptr ? 0 : 4, nullptr, nullptr);
  return {Written(certificate), Written(pem)};
}

const Pair& Mine() {
  static const Pair& pair = *new Pair(PairOf(EVP_EC_gen("P-256")));
  return pair;
}

TEST(ChainOfKey, TakesWhatEnvoyTakes) {
  for (EVP_PKEY* key :
       {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"), EVP_RSA_gen(2048)}) {
    const Pair pair = PairOf(key);
    const auto chain = ChainOfKey(pair.certificate, pair.key);
    ASSERT_TRUE(chain.ok()) << chain.status();
    EXPECT_EQ(*chain, pair.certificate);
  }
}

TEST(ChainOfKey, KeepsTheWholeChain) {
  const std::string chain = Mine().certificate + PairOf(EVP_EC_gen("P-256")).certificate;
  EXPECT_EQ(*ChainOfKey(chain, Mine().key), chain);
}

// Envoy shows a certificate chain in its dumps.
TEST(ChainOfKey, LeavesOutTheKeyThatStandsInTheSameFile) {
  for (const std::string& file : {Mine().key + Mine().certificate, Mine().certificate + Mine().key,
                                  "text\n" + Mine().key + "more text\n" + Mine().certificate}) {
    EXPECT_EQ(*ChainOfKey(file, file), Mine().certificate);
  }
}

TEST(ChainOfKey, TellsAPairThatDoesNotBelongTogetherFromABrokenOne) {
  const Pair other = PairOf(EVP_EC_gen("P-256"));
  EXPECT_THAT(ChainOfKey(other.certificate, Mine().key).status(), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(ChainOfKey(PairOf(EVP_RSA_gen(2048)).certificate, Mine().key).status(),
              StatusIs(StatusCode::kAborted));
}

TEST(ChainOfKey, RefusesWhatIsNoPairAndQuotesNothing) {
  const std::string torn = Mine().certificate.substr(0, Mine().certificate.size() / 2);
  const Pair weak = PairOf(EVP_RSA_gen(1024)), locked = PairOf(EVP_EC_gen("P-256"), "lock");
  const Pair odd = PairOf(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Pair curve = PairOf(EVP_EC_gen("secp256k1"));
  const Pair bad[] = {{"", Mine().key},
                      {"hunter2", Mine().key},
                      {Mine().key, Mine().key},
                      {torn, Mine().key},
                      {Mine().certificate + torn, Mine().key},
                      {Mine().certificate, ""},
                      {Mine().certificate, "hunter2"},
                      {Mine().certificate, Mine().certificate},
                      {Mine().certificate, Mine().key.substr(0, 100)},
                      weak,
                      locked,
                      odd,
                      curve};
  for (const auto& [certificate, key] : bad) {
    const base::Status status = ChainOfKey(certificate, key).status();
    EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument)) << certificate;
    EXPECT_THAT(base::Message(status), Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace exeat::crypto
