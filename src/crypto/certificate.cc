#include "crypto/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <climits>
#include <ctime>

#include "crypto/der.h"
#include "crypto/openssl_ptr.h"
#include "crypto/random.h"

namespace exeat::crypto {
namespace {

const std::string& SignatureAlgorithm() {  // ecdsa-with-SHA256, no parameters
  static const std::string kAlgorithm = der::Sequence({der::Oid({1, 2, 840, 10045, 4, 3, 2})});
  return kAlgorithm;
}

const std::string& Version3() {
  static const std::string kVersion = der::Tlv(der::Constructed(0), der::UnsignedInteger("\x02"));
  return kVersion;
}

std::string Extension(std::uint32_t id_ce, bool critical, std::string_view value) {
  return der::Sequence({der::Oid({2, 5, 29, id_ce}), critical ? der::Boolean(true) : std::string(),
                        der::Tlv(der::kOctetString, value)});
}

std::string AuthorityKeyId(std::string_view key_id) {
  return Extension(35, false, der::Sequence({der::Tlv(der::Primitive(0), key_id)}));
}

std::string NameOf(std::string_view common_name) {
  return der::Sequence(
      {der::Tlv(der::kSet,
                der::Sequence({der::Oid({2, 5, 4, 3}), der::Tlv(der::kUtf8String, common_name)}))});
}

// One i2d call's output as a string.
template <class T, class Encode>
std::string Encoded(T* object, Encode encode) {
  unsigned char* bytes = nullptr;
  const int length = object == nullptr ? -1 : encode(object, &bytes);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  OPENSSL_free(bytes);
  return out;
}

bool ToUnix(const ASN1_TIME* time, base::UnixSeconds& out) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return false;
  out = timegm(&parts);
  return true;
}

}  // namespace

base::StatusOr<Certificate> ParseCertificate(std::string_view pem) {
  if (pem.size() > INT_MAX) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "certificate: too large");
  }
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return OpenSslStatus(base::StatusCode::kInternal, "certificate");
  const X509Ptr parsed(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (parsed == nullptr) {
    return OpenSslStatus(base::StatusCode::kInvalidArgument, "not a certificate in PEM form");
  }
  const X509Ptr second(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (second != nullptr) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "more than one certificate where one is expected");
  }
  X509* const x509 = parsed.get();
  Certificate out;
  out.der = Encoded(x509, i2d_X509);
  out.subject_der = Encoded(X509_get_subject_name(x509), i2d_X509_NAME);
  out.spki_der = Encoded(X509_get_X509_PUBKEY(x509), i2d_X509_PUBKEY);
  if (out.der.empty() || out.subject_der.empty() || out.spki_der.empty() ||
      !ToUnix(X509_get0_notBefore(x509), out.not_before) ||
      !ToUnix(X509_get0_notAfter(x509), out.not_after)) {
    return OpenSslStatus(base::StatusCode::kInvalidArgument, "certificate with broken fields");
  }
  out.is_ca = X509_check_ca(x509) == 1 && (X509_get_key_usage(x509) & KU_KEY_CERT_SIGN) != 0;
  out.serves_tls = (X509_get_extended_key_usage(x509) & XKU_SSL_SERVER) != 0;
  if (const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(x509); id != nullptr) {
    out.key_id.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(id)),
                      static_cast<std::size_t>(ASN1_STRING_length(id)));
  }
  ERR_clear_error();  // the look for a second certificate left one
  return out;
}

std::string KeyIdOfSpki(std::string_view spki_der) {
  constexpr std::size_t kPointBytes = 65;
  const std::string_view point = spki_der.substr(spki_der.size() - kPointBytes);
  return std::string(AsBytes(Sha256(point)).substr(0, 20));
}

base::StatusOr<std::string> MakeCaCertificate(const PrivateKey& key, const CaFields& fields) {
  ASSIGN_OR_RETURN(std::string serial, RandomBytes(kSerialBytes));
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);
  ASSIGN_OR_RETURN(const std::string spki, key.SpkiDer());
  const std::string name = NameOf(fields.common_name);
  const std::string key_id = KeyIdOfSpki(spki);
  const std::string extensions = der::Sequence(
      {Extension(19, true, der::Sequence({der::Boolean(true), der::UnsignedInteger("")})),
       Extension(15, true, der::Tlv(der::kBitString, "\x02\x04")),  // keyCertSign
       Extension(14, false, der::Tlv(der::kOctetString, key_id)), AuthorityKeyId(key_id)});
  const std::string tbs =
      der::Sequence({Version3(), der::UnsignedInteger(serial), SignatureAlgorithm(), name,
                     der::Sequence({der::Time(fields.not_before), der::Time(fields.not_after)}),
                     name, spki, der::Tlv(der::Constructed(3), extensions)});
  return SignCertificate(tbs, key);
}

LeafTemplate::LeafTemplate(std::string_view issuer_name_der, std::string_view issuer_key_id)
    : after_serial_(SignatureAlgorithm()) {
  after_serial_.append(issuer_name_der);
  const std::string server_auth = der::Oid({1, 3, 6, 1, 5, 5, 7, 3, 1});
  extensions_ = Extension(15, true, der::Tlv(der::kBitString, "\x07\x80")) +  // digitalSignature
                Extension(37, false, der::Sequence({server_auth})) + AuthorityKeyId(issuer_key_id);
}

std::string LeafTemplate::Tbs(const Fields& fields) const {
  using der::AppendHeader;
  using der::HeaderSize;
  constexpr std::string_view kNoSubject("\x30\0", 2);
  static const std::string kSanId = der::Oid({2, 5, 29, 17}) + der::Boolean(true);
  const auto sized = [](std::size_t content) { return HeaderSize(content) + content; };

  const std::string not_before = der::Time(fields.not_before);
  const std::string not_after = der::Time(fields.not_after);
  const std::size_t validity = not_before.size() + not_after.size();
  const std::size_t general_name = sized(fields.dns_name.size());
  const std::size_t san_value = sized(general_name);
  const std::size_t san = kSanId.size() + sized(san_value);
  const std::size_t all_extensions = extensions_.size() + sized(san);
  const std::size_t body = Version3().size() + 2 + kSerialBytes + after_serial_.size() +
                           sized(validity) + kNoSubject.size() + fields.spki_der.size() +
                           sized(sized(all_extensions));
  std::string tbs;
  tbs.reserve(sized(body));
  AppendHeader(tbs, der::kSequence, body);
  tbs.append(Version3());
  AppendHeader(tbs, der::kInteger, kSerialBytes);
  tbs.append(reinterpret_cast<const char*>(fields.serial.data()), kSerialBytes);
  tbs.append(after_serial_);
  AppendHeader(tbs, der::kSequence, validity);
  tbs.append(not_before).append(not_after).append(kNoSubject).append(fields.spki_der);
  AppendHeader(tbs, der::Constructed(3), sized(all_extensions));
  AppendHeader(tbs, der::kSequence, all_extensions);
  tbs.append(extensions_);
  AppendHeader(tbs, der::kSequence, san);
  tbs.append(kSanId);
  AppendHeader(tbs, der::kOctetString, san_value);
  AppendHeader(tbs, der::kSequence, general_name);
  AppendHeader(tbs, der::Primitive(2), fields.dns_name.size());
  tbs.append(fields.dns_name);
  return tbs;
}

base::StatusOr<std::string> SignCertificate(std::string_view tbs, const PrivateKey& issuer_key) {
  ASSIGN_OR_RETURN(const std::string signature, issuer_key.SignDer(tbs));
  return der::Sequence({tbs, SignatureAlgorithm(), der::BitString(signature)});
}

}  // namespace exeat::crypto
