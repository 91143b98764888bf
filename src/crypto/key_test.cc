#include "crypto/key.h"

#include <openssl/pem.h>

#include <set>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "base/testing/status_matchers.h"
#include "crypto/ecdsa_signature.h"
#include "crypto/openssl_ptr.h"
#include "gtest/gtest.h"

namespace exeat::crypto {
namespace {

using base::StatusCode;
using base::StatusIs;

PrivateKey NewKey() {
  auto key = PrivateKey::Generate();
  EXPECT_THAT(key, base::IsOk());
  return *std::move(key);
}

std::string OpenSslKeyPem(const char* type, const char* group, bool encrypted = false) {
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY_keygen_init(context.get());
  if (group != nullptr) EVP_PKEY_CTX_set_group_name(context.get(), group);
  EVP_PKEY* made = nullptr;
  EVP_PKEY_generate(context.get(), &made);
  const PkeyPtr key(made);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  unsigned char passphrase[] = "secret";
  PEM_write_bio_PrivateKey(bio.get(), key.get(), encrypted ? EVP_aes_128_cbc() : nullptr,
                           encrypted ? passphrase : nullptr, encrypted ? 6 : 0, nullptr, nullptr);
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}

TEST(PrivateKey, SignsWhatItsPublicHalfVerifiesInBothForms) {
  const PrivateKey key = NewKey();
  const auto pub = key.Public();
  ASSERT_THAT(pub, base::IsOk());
  const auto raw = key.SignRaw("message");
  const auto der = key.SignDer("message");
  ASSERT_THAT(raw, base::IsOk());
  ASSERT_THAT(der, base::IsOk());
  EXPECT_EQ(raw->size(), kRawSignatureBytes);
  EXPECT_TRUE(pub->VerifyRaw("message", *raw));
  EXPECT_TRUE(pub->VerifyDer("message", *der));
  EXPECT_FALSE(pub->VerifyRaw("massage", *raw));
  EXPECT_FALSE(pub->VerifyRaw("message", *der));
  EXPECT_FALSE(pub->VerifyDer("message", *raw));
  EXPECT_FALSE(pub->VerifyDer("message", ""));
  const auto other = NewKey().Public();
  EXPECT_FALSE(other->VerifyRaw("message", *raw));
  EXPECT_TRUE(pub->VerifyRaw("message", *raw)) << "a refusal must not spoil the pooled context";
}

TEST(PrivateKey, ComesBackFromItsOwnPem) {
  const PrivateKey key = NewKey();
  const auto pem = key.ToPem();
  ASSERT_THAT(pem, base::IsOk());
  EXPECT_TRUE(pem->Reveal().starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto again = PrivateKey::FromPem(pem->Reveal());
  ASSERT_THAT(again, base::IsOk());
  EXPECT_EQ(*again->SpkiDer(), *key.SpkiDer());
  EXPECT_TRUE(key.Public()->VerifyRaw("m", *again->SignRaw("m")));
}

TEST(PrivateKey, WritesTheSameBytesAsOpenSsl) {
  for (int i = 0; i < 20; ++i) {
    const std::string pem = OpenSslKeyPem("EC", "P-256");
    const auto key = PrivateKey::FromPem(pem);
    ASSERT_THAT(key, base::IsOk());
    EXPECT_EQ(key->ToPem()->Reveal(), pem);
  }
}

TEST(KeyMaterial, IsAKeyThatOpenSslAcceptsAndNeverTheSameTwice) {
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const auto material = NewKeyMaterial();
    ASSERT_THAT(material, base::IsOk());
    const auto key = PrivateKey::FromPem(material->pem.Reveal());  // checks both halves
    ASSERT_THAT(key, base::IsOk());
    EXPECT_EQ(*key->SpkiDer(), material->spki_der);
    EXPECT_EQ(key->ToPem()->Reveal(), material->pem.Reveal());
    EXPECT_TRUE(seen.insert(material->spki_der).second);
  }
}

TEST(PrivateKey, RefusesOtherCurvesOtherKindsAndBrokenText) {
  EXPECT_THAT(PrivateKey::FromPem(""), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PrivateKey::FromPem(OpenSslKeyPem("EC", "P-384")),
              base::StatusSays(StatusCode::kInvalidArgument, "P-256"));
  EXPECT_THAT(PrivateKey::FromPem(OpenSslKeyPem("EC", "secp256k1")),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PrivateKey::FromPem(OpenSslKeyPem("ED25519", nullptr)),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(PrivateKey, RefusesAnEncryptedKeyWithoutAskingForItsPassphrase) {
  EXPECT_THAT(PrivateKey::FromPem(OpenSslKeyPem("EC", "P-256", true)),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(PrivateKey, RefusesHalvesThatDoNotBelongTogether) {
  const PrivateKey key = NewKey();
  const PrivateKey other = NewKey();
  const auto der_of = [](const PrivateKey& of) {
    std::string text(of.ToPem()->Reveal());
    std::string body;
    for (std::size_t at = text.find('\n') + 1; text[at] != '-';) {
      const std::size_t end = text.find('\n', at);
      body += text.substr(at, end - at);
      at = end + 1;
    }
    return *base::Base64Decode(body);
  };
  const std::string mixed = der_of(key).substr(0, 73) + der_of(other).substr(73);
  EXPECT_THAT(PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\n" + base::Base64Encode(mixed) +
                                  "\n-----END PRIVATE KEY-----\n"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(PublicKey, RefusesPointsOffTheCurveAndOfTheWrongLength) {
  const auto good = NewKey().Public();
  std::string y = good->y();
  y.back() = static_cast<char>(y.back() ^ 1);
  EXPECT_THAT(PublicKey::FromPoint(good->x(), good->y()), base::IsOk());
  EXPECT_THAT(PublicKey::FromPoint(good->x(), y), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PublicKey::FromPoint(good->x().substr(1), good->y()),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PublicKey::FromPoint(std::string(32, '\0'), std::string(32, '\0')),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(PublicKey::FromPoint(std::string(32, '\xff'), std::string(32, '\xff')),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(PublicKey, VerifiesThePublishedJwsExample) {  // RFC 7515 appendix A.3
  const auto key =
      PublicKey::FromPoint(*base::Base64UrlDecode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                           *base::Base64UrlDecode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
  ASSERT_THAT(key, base::IsOk());
  const std::string message =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
      "LmNvbS9pc19yb290Ijp0cnVlfQ";
  EXPECT_TRUE(key->VerifyRaw(
      message, *base::Base64UrlDecode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5dj"
                                      "xLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")));
}

TEST(PrivateKey, SignsOnManyThreadsAtOnce) {
  const PrivateKey key = NewKey();
  const auto pub = key.Public();
  std::vector<int> bad(4, 0);
  std::vector<std::jthread> threads;
  for (int& count : bad) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto signature = key.SignRaw("m");
        count += signature.ok() && pub->VerifyRaw("m", *signature) ? 0 : 1;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(bad, std::vector<int>(4, 0));
}

TEST(EcdsaSignature, TurnsIntoTheOtherFormAndBack) {
  const PrivateKey key = NewKey();
  for (int i = 0; i < 300; ++i) {  // often enough to meet short and high-bit scalars
    const auto der = key.SignDer("m" + std::to_string(i));
    const auto raw = RawFromDerSignature(*der);
    ASSERT_TRUE(raw.has_value());
    EXPECT_EQ(DerFromRawSignature(*raw), *der);
  }
}

TEST(EcdsaSignature, AcceptsOneSpellingOnly) {
  const auto raw = [](std::string_view hex) { return RawFromDerSignature(*base::HexDecode(hex)); };
  EXPECT_TRUE(raw("3006020101020102").has_value());
  EXPECT_FALSE(raw("").has_value());
  EXPECT_FALSE(raw("300602010102010200").has_value()) << "trailing byte";
  EXPECT_FALSE(raw("300702010102020002").has_value()) << "padded scalar";
  EXPECT_FALSE(raw("3006020181020102").has_value()) << "negative scalar";
  EXPECT_FALSE(raw("308106020101020102").has_value()) << "long length";
  EXPECT_FALSE(raw("3003020101").has_value()) << "one scalar";
  EXPECT_FALSE(raw("300402000200").has_value()) << "empty scalars";
  EXPECT_FALSE(raw("3009020101020101020101").has_value()) << "three scalars";
  EXPECT_FALSE(DerFromRawSignature(std::string(63, '\1')).has_value());
  EXPECT_FALSE(DerFromRawSignature(std::string(65, '\1')).has_value());
}

}  // namespace
}  // namespace exeat::crypto
