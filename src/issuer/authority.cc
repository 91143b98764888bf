#include <optional>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "crypto/pem.h"
#include "fmt/format.h"
#include "issuer/issuer.h"

namespace exeat::issuer {
namespace {

constexpr std::size_t kMaxPemBytes = 64 << 10;
constexpr std::chrono::seconds kCaLifetime = std::chrono::days(3653);  // ten years
constexpr std::chrono::seconds kBackdated = std::chrono::hours(1);     // for guests' clocks
constexpr std::size_t kMaxCommonName = 64;                             // RFC 5280 appendix A.1

base::Status Broken(const std::string& path, std::string_view why) {
  return base::MakeStatus(base::StatusCode::kFailedPrecondition, fmt::format("{}: {}", path, why));
}

class KeyedAuthority final : public Authority {
 public:
  KeyedAuthority(crypto::Certificate certificate, crypto::PrivateKey key)
      : certificate_(std::move(certificate)),
        key_(std::move(key)),
        // Not the file's own text, which may hold more than the certificate.
        pem_(crypto::PemEncode(crypto::kCertificateLabel, certificate_.der)) {}

  const std::string& CertificatePem() const override { return pem_; }

 private:
  const crypto::Certificate& certificate() const override { return certificate_; }
  const crypto::PrivateKey& key() const override { return key_; }

  const crypto::Certificate certificate_;
  const crypto::PrivateKey key_;
  const std::string pem_;
};

base::StatusOr<crypto::PrivateKey> ReadKey(const std::string& path) {
  auto text = base::ReadPrivateFile(path, kMaxPemBytes);
  if (!text.ok()) return Broken(path, base::Message(text.status()));
  const base::Secret secret(*std::move(text));
  auto key = crypto::PrivateKey::FromPem(secret.Reveal());
  if (!key.ok()) return Broken(path, base::Message(key.status()));
  return key;
}

base::StatusOr<crypto::Certificate> ReadCertificate(const std::string& path,
                                                    base::UnixSeconds now) {
  const auto text = base::ReadFile(path, kMaxPemBytes);
  if (!text.ok()) return Broken(path, base::Message(text.status()));
  auto certificate = crypto::ParseCertificate(*text);
  if (!certificate.ok()) return Broken(path, base::Message(certificate.status()));
  if (!certificate->is_ca) {
    return Broken(path,
                  "not a CA that may sign certificates: expected basicConstraints CA:TRUE and "
                  "keyUsage keyCertSign");
  }
  if (!certificate->serves_tls) return Broken(path, "its extendedKeyUsage leaves out serverAuth");
  if (certificate->not_after <= now) return Broken(path, "this CA has ended; import another");
  return certificate;
}

base::StatusOr<std::unique_ptr<Authority>> ReadPair(const std::string& certificate_path,
                                                    const std::string& key_path,
                                                    base::UnixSeconds now) {
  ASSIGN_OR_RETURN(crypto::Certificate certificate, ReadCertificate(certificate_path, now));
  ASSIGN_OR_RETURN(crypto::PrivateKey key, ReadKey(key_path));
  ASSIGN_OR_RETURN(const std::string spki, key.SpkiDer());
  if (spki != certificate.spki_der) {
    return Broken(certificate_path, fmt::format("does not belong to the key in {}", key_path));
  }
  return std::make_unique<KeyedAuthority>(std::move(certificate), std::move(key));
}

base::Status MakePair(const std::string& certificate_path, const std::string& key_path,
                      const std::string& deployment, base::UnixSeconds now) {
  ASSIGN_OR_RETURN(const crypto::PrivateKey key, crypto::PrivateKey::Generate());
  ASSIGN_OR_RETURN(const base::Secret key_pem, key.ToPem());
  crypto::CaFields fields;
  fields.common_name = ("exeat CA " + deployment).substr(0, kMaxCommonName);
  fields.not_before = now - kBackdated.count();
  fields.not_after = now + kCaLifetime.count();
  ASSIGN_OR_RETURN(const std::string der, crypto::MakeCaCertificate(key, fields));
  RETURN_IF_ERROR(base::WriteFileAtomically(key_path, key_pem.Reveal(), 0600));
  RETURN_IF_ERROR(base::WriteFileAtomically(
      certificate_path, crypto::PemEncode(crypto::kCertificateLabel, der), 0600));
  base::LogInfo("made the certificate authority", {{"path", certificate_path}});
  return absl::OkStatus();
}

// nullopt when the system does not say.
base::StatusOr<bool> Exists(const std::string& path) {
  const auto content = base::ReadFile(path, kMaxPemBytes);
  if (content.ok()) return true;
  if (content.status().code() == base::StatusCode::kNotFound) return false;
  return Broken(path, base::Message(content.status()));
}

}  // namespace

base::StatusOr<std::unique_ptr<Authority>> Authority::Open(const std::string& directory,
                                                           const std::string& deployment,
                                                           const base::Clock& clock) {
  RETURN_IF_ERROR(base::EnsurePrivateDirectory(directory));
  const std::string certificate_path = directory + "/ca.crt";
  const std::string key_path = directory + "/ca.key";
  ASSIGN_OR_RETURN(const bool has_certificate, Exists(certificate_path));
  ASSIGN_OR_RETURN(const bool has_key, Exists(key_path));
  if (has_certificate != has_key) {
    return Broken(has_key ? certificate_path : key_path,
                  fmt::format("gone, though {} is there; restore it, or move the other away too to "
                              "start with a new CA that every guest must then trust",
                              has_key ? key_path : certificate_path));
  }
  if (!has_key) {
    RETURN_IF_ERROR(MakePair(certificate_path, key_path, deployment, clock.UnixNow()));
  }
  return ReadPair(certificate_path, key_path, clock.UnixNow());
}

base::StatusOr<std::unique_ptr<Authority>> Authority::Import(const policy::ImportedCa& files,
                                                             const base::Clock& clock) {
  return ReadPair(files.certificate, files.key, clock.UnixNow());
}

}  // namespace exeat::issuer
