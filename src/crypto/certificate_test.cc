#include "crypto/certificate.h"

#include <openssl/asn1.h>

#include <array>

#include "base/testing/status_matchers.h"
#include "crypto/der.h"
#include "crypto/pem.h"
#include "crypto/testing/chain_check.h"
#include "gtest/gtest.h"

namespace exeat::crypto {
namespace {

constexpr base::UnixSeconds kNow = 1'800'000'000;

struct Ca {
  PrivateKey key;
  std::string pem;
  Certificate facts;
};

Ca MakeCa(base::UnixSeconds not_after = kNow + 315'360'000) {
  auto key = PrivateKey::Generate();
  auto der = MakeCaCertificate(*key, {"exeat CA test", kNow - 3600, not_after});
  EXPECT_THAT(der, base::IsOk());
  std::string pem = PemEncode(kCertificateLabel, *der);
  auto facts = ParseCertificate(pem);
  EXPECT_THAT(facts, base::IsOk());
  return {*std::move(key), std::move(pem), *std::move(facts)};
}

std::string Leaf(const Ca& ca, std::string_view name, base::UnixSeconds not_before = kNow - 300,
                 base::UnixSeconds not_after = kNow + 86400) {
  const auto leaf_key = PrivateKey::Generate();
  const LeafTemplate leaf_template(ca.facts.subject_der, ca.facts.key_id);
  const std::string spki = *leaf_key->SpkiDer();
  std::array<std::uint8_t, kSerialBytes> serial;
  serial.fill(0x5a);
  const auto der =
      SignCertificate(leaf_template.Tbs({serial, not_before, not_after, spki, name}), ca.key);
  EXPECT_THAT(der, base::IsOk());
  return PemEncode(kCertificateLabel, *der);
}

TEST(CaCertificate, SaysWhatItIs) {
  const Ca ca = MakeCa();
  EXPECT_TRUE(ca.facts.is_ca);
  EXPECT_TRUE(ca.facts.serves_tls);
  EXPECT_EQ(ca.facts.not_before, kNow - 3600);
  EXPECT_EQ(ca.facts.not_after, kNow + 315'360'000);
  EXPECT_EQ(ca.facts.spki_der, *ca.key.SpkiDer());
  EXPECT_EQ(ca.facts.key_id, KeyIdOfSpki(ca.facts.spki_der));
  const X509Ptr x509 = ReadX509(ca.pem);
  EXPECT_EQ(X509_get_pathlen(x509.get()), 0);
  EXPECT_EQ(X509_get_key_usage(x509.get()), static_cast<unsigned>(KU_KEY_CERT_SIGN));
  EXPECT_EQ(X509_self_signed(x509.get(), 1), 1);
}

TEST(LeafTemplate, GivesLeavesThatStrictVerificationAccepts) {
  const Ca ca = MakeCa();
  // Around every length at which a DER length grows, up to the longest name DNS allows.
  for (std::size_t length = 3; length <= 253; ++length) {
    std::string name(length, 'a');
    for (std::size_t i = 50; i + 1 < length; i += 51) name[i] = '.';
    EXPECT_EQ(CheckChain(Leaf(ca, name), ca.pem, name, kNow), "ok") << length;
  }
}

TEST(LeafTemplate, IsDerThatOpenSslWouldWriteToo) {
  const Ca ca = MakeCa();
  for (const base::UnixSeconds end : {kNow + 900, base::UnixSeconds{2'600'000'000}}) {
    const std::string pem = Leaf(ca, "docs.example.net", kNow - 300, end);
    const X509Ptr x509 = ReadX509(pem);
    ASSERT_NE(x509, nullptr);
    const std::string whole = ParseCertificate(pem)->der;
    unsigned char* bytes = nullptr;
    const int length = i2d_re_X509_tbs(x509.get(), &bytes);
    ASSERT_GT(length, 0);
    const std::string again(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(length));
    OPENSSL_free(bytes);
    EXPECT_EQ(whole.substr(4, again.size()), again);
  }
}

TEST(LeafTemplate, GivesAServerLeafAndNothingMore) {
  const Ca ca = MakeCa();
  const X509Ptr x509 = ReadX509(Leaf(ca, "docs.example.net"));
  EXPECT_EQ(X509_get_version(x509.get()), X509_VERSION_3);
  EXPECT_EQ(X509_NAME_entry_count(X509_get_subject_name(x509.get())), 0);
  EXPECT_EQ(X509_get_key_usage(x509.get()), static_cast<unsigned>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_get_extended_key_usage(x509.get()), static_cast<unsigned>(XKU_SSL_SERVER));
  EXPECT_EQ(X509_check_ca(x509.get()), 0);
  EXPECT_EQ(X509_get_ext_count(x509.get()), 4);
  const int san = X509_get_ext_by_NID(x509.get(), NID_subject_alt_name, -1);
  EXPECT_EQ(X509_EXTENSION_get_critical(X509_get_ext(x509.get(), san)), 1);
  EXPECT_EQ(ASN1_STRING_length(X509_get0_serialNumber(x509.get())), 16);
}

TEST(LeafTemplate, IsRefusedForAnotherNameTimeOrCa) {
  const Ca ca = MakeCa();
  const std::string leaf = Leaf(ca, "docs.example.net");
  EXPECT_EQ(CheckChain(leaf, ca.pem, "docs.example.org", kNow), "hostname mismatch");
  EXPECT_EQ(CheckChain(leaf, ca.pem, "x.docs.example.net", kNow), "hostname mismatch");
  EXPECT_EQ(CheckChain(leaf, ca.pem, "docs.example.net", kNow + 86401), "certificate has expired");
  EXPECT_EQ(CheckChain(leaf, ca.pem, "docs.example.net", kNow - 301),
            "certificate is not yet valid");
  EXPECT_NE(CheckChain(leaf, MakeCa().pem, "docs.example.net", kNow), "ok");
}

TEST(ParseCertificate, RefusesTextThatIsNotExactlyOneCertificate) {
  const Ca ca = MakeCa();
  EXPECT_THAT(ParseCertificate(""), base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseCertificate(ca.key.ToPem()->Reveal()),
              base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseCertificate(ca.pem + ca.pem),
              base::StatusSays(base::StatusCode::kInvalidArgument, "more than one"));
  EXPECT_THAT(ParseCertificate("a comment\n" + ca.pem + "\n"), base::IsOk());
}

TEST(ParseCertificate, SaysThatALeafIsNoCa) {
  const Ca ca = MakeCa();
  const auto leaf = ParseCertificate(Leaf(ca, "docs.example.net"));
  ASSERT_THAT(leaf, base::IsOk());
  EXPECT_FALSE(leaf->is_ca);
  EXPECT_TRUE(leaf->key_id.empty());
}

}  // namespace
}  // namespace exeat::crypto
