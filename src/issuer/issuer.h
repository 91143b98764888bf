// Leaves on demand: check the name, record the intent, sign.
//
// Shapes:   P-256 leaves, ecdsa-with-SHA256, CN empty, one critical dNSName SAN, serverAuth,
//           15 minutes to 24 hours, not before five minutes ago; one leaf key per epoch, never the
//           CA's. Signed from a prebuilt TBSCertificate (docs/adr/0005-leaf-template.md).
// Errors:   kPermissionDenied the policy does not list the name or decrypts nothing;
//           kInvalidArgument not canonical; kUnavailable the intent could not be recorded: nothing
//           was signed; kFailedPrecondition the CA has ended.
// Threads:  Sign is safe concurrently.
// Source:   RFC 5280, RFC 6125
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "policy/policy.h"

namespace exeat::issuer {

// The deployment's certificate authority: made at first start or imported. The key never leaves
// the issuer.
class Authority {
 public:
  // Reads ca.crt and ca.key of `directory`, making both (0600) when neither is there; one without
  // the other is kFailedPrecondition, and so are files that Import would refuse. `deployment` names
  // the subject.
  static base::StatusOr<std::unique_ptr<Authority>> Open(const std::string& directory,
                                                         const std::string& deployment,
                                                         const base::Clock& clock);
  // An imported P-256 CA. kFailedPrecondition, naming the file, for a certificate that is not a CA,
  // may not sign servers, has ended, or does not fit the key, and for a key that others may read.
  static base::StatusOr<std::unique_ptr<Authority>> Import(const policy::ImportedCa& files,
                                                           const base::Clock& clock);
  virtual ~Authority() = default;
  virtual const std::string& CertificatePem() const = 0;

 private:
  // Alone may have things signed, so that no other part of exeat can sign the unchecked.
  friend class TemplateIssuer;
  virtual const crypto::Certificate& certificate() const = 0;
  virtual const crypto::PrivateKey& key() const = 0;
};

// A name that may be minted: only CheckLeaf makes one, so nothing unchecked can be signed.
class CheckedLeaf {
 public:
  const std::string& name() const { return name_; }

 private:
  friend base::StatusOr<CheckedLeaf> CheckLeaf(std::string_view name, const policy::Policy& policy);
  explicit CheckedLeaf(std::string name) : name_(std::move(name)) {}
  std::string name_;
};
base::StatusOr<CheckedLeaf> CheckLeaf(std::string_view name, const policy::Policy& policy);

struct Leaf {
  std::string name;
  std::string serial_hex;
  std::string chain_pem;                        // the leaf alone; guests trust the CA itself
  std::shared_ptr<const base::Secret> key_pem;  // PKCS#8, shared by the leaves of one epoch
  base::UnixSeconds not_before = 0;
  base::UnixSeconds not_after = 0;
};

class Issuer {
 public:
  struct Options {
    std::chrono::seconds lifetime{std::chrono::hours(24)};   // 15 minutes to 24 hours
    std::chrono::seconds key_epoch{std::chrono::hours(24)};  // zero: a new key for each leaf
  };
  // Called with name and serial (32 hex digits) before each signature; an error stops it.
  using RecordIntent = std::function<base::Status(std::string_view name, std::string_view serial)>;

  // kInvalidArgument for a lifetime outside its bounds, a negative epoch or no `record`.
  // `authority` and `clock` must outlive the issuer.
  static base::StatusOr<std::unique_ptr<Issuer>> Make(const Authority& authority, Options options,
                                                      RecordIntent record,
                                                      const base::Clock& clock);
  virtual ~Issuer() = default;
  // The leaf, held to the CA's own end.
  virtual base::StatusOr<Leaf> Sign(CheckedLeaf leaf) = 0;
};

}  // namespace exeat::issuer
