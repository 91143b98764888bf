// X.509 certificates: the one CA, its leaves, and what an imported CA says of itself.
//
// Shapes:   P-256 and ecdsa-with-SHA256 only. A leaf has an empty subject and one critical dNSName,
//           so no client can fall back to a common name.
// Errors:   kInvalidArgument text that is not one certificate; kInternal OpenSSL refused.
// Threads:  const methods are safe concurrently.
// Source:   RFC 5280, RFC 5480, RFC 5758, docs/adr/0005-leaf-template.md
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "crypto/key.h"

namespace exeat::crypto {

inline constexpr std::size_t kSerialBytes = 16;

struct Certificate {
  std::string der;
  std::string subject_der;  // the Name as it stands, to be repeated byte for byte as an issuer
  std::string spki_der;
  std::string key_id;       // subjectKeyIdentifier; empty when there is none
  bool is_ca = false;       // basicConstraints says so and keyUsage, if any, allows keyCertSign
  bool serves_tls = false;  // extendedKeyUsage is absent or holds serverAuth
  base::UnixSeconds not_before = 0;
  base::UnixSeconds not_after = 0;
};

// Exactly one certificate, whatever text stands around it.
base::StatusOr<Certificate> ParseCertificate(std::string_view pem);

struct CaFields {
  std::string common_name;
  base::UnixSeconds not_before = 0;
  base::UnixSeconds not_after = 0;
};
// A self-signed CA for leaves only (pathlen 0), as DER.
base::StatusOr<std::string> MakeCaCertificate(const PrivateKey& key, const CaFields& fields);

// The key identifier of RFC 7093 section 2, method 1: the first 160 bits of SHA-256 of the point.
std::string KeyIdOfSpki(std::string_view spki_der);

// A TBSCertificate built once for an issuer; what differs from leaf to leaf is patched in.
class LeafTemplate {
 public:
  struct Fields {
    std::span<const std::uint8_t, kSerialBytes> serial;  // the first byte from 1 to 127
    base::UnixSeconds not_before = 0;
    base::UnixSeconds not_after = 0;
    std::string_view spki_der;
    std::string_view dns_name;  // A-labels
  };

  LeafTemplate(std::string_view issuer_name_der, std::string_view issuer_key_id);

  std::string Tbs(const Fields& fields) const;

 private:
  std::string after_serial_;  // signature algorithm, issuer
  std::string extensions_;    // all but the name
};

// The certificate for a TBSCertificate, as DER.
base::StatusOr<std::string> SignCertificate(std::string_view tbs, const PrivateKey& issuer_key);

}  // namespace exeat::crypto
