#include "issuer/issuer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "base/mutex.h"
#include "crypto/pem.h"
#include "crypto/random.h"
#include "policy/host_name.h"

namespace exeat::issuer {
namespace {

constexpr std::chrono::seconds kMinLifetime = std::chrono::minutes(15);
constexpr std::chrono::seconds kMaxLifetime = std::chrono::hours(24);
constexpr std::chrono::seconds kBackdated = std::chrono::minutes(5);

using Serial = std::array<std::uint8_t, crypto::kSerialBytes>;

// Serials of 126 random bits, positive and always of the full length. Drawn many at a time: a call
// of OpenSSL's generator costs the same for one as for some.
class SerialSource {
 public:
  base::StatusOr<Serial> Next() {
    base::MutexLock lock(mutex_);
    if (next_ == kBatch) {
      RETURN_IF_ERROR(crypto::FillRandom(random_));
      next_ = 0;
    }
    Serial serial;
    std::copy_n(random_.begin() + static_cast<std::ptrdiff_t>(next_++ * serial.size()),
                serial.size(), serial.begin());
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
    return serial;
  }

 private:
  static constexpr std::size_t kBatch = 32;
  base::Mutex mutex_;
  std::array<std::uint8_t, kBatch * crypto::kSerialBytes> random_ GUARDED_BY(mutex_){};
  std::size_t next_ GUARDED_BY(mutex_) = kBatch;
};

using LeafKeyPtr = std::shared_ptr<const crypto::KeyMaterial>;

base::StatusOr<LeafKeyPtr> NewLeafKey() {
  ASSIGN_OR_RETURN(crypto::KeyMaterial key, crypto::NewKeyMaterial());
  return std::make_shared<const crypto::KeyMaterial>(std::move(key));
}

}  // namespace

base::StatusOr<CheckedLeaf> CheckLeaf(std::string_view name, const policy::Policy& policy) {
  if (!policy::IsCanonicalHost(name)) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "not a canonical host name");
  }
  if (policy.posture != policy::Posture::kBump) {
    return base::MakeStatus(base::StatusCode::kPermissionDenied, "the policy decrypts nothing");
  }
  if (!policy.HasHost(name)) {
    return base::MakeStatus(base::StatusCode::kPermissionDenied, "not listed in the policy");
  }
  return CheckedLeaf(std::string(name));
}

class TemplateIssuer final : public Issuer {
 public:
  TemplateIssuer(const Authority& authority, Options options, RecordIntent record,
                 const base::Clock& clock)
      : authority_(authority),
        options_(options),
        record_(std::move(record)),
        clock_(clock),
        template_(authority.certificate().subject_der, AuthorityKeyId(authority.certificate())) {}

  base::StatusOr<Leaf> Sign(CheckedLeaf checked) override {
    const base::UnixSeconds now = clock_.UnixNow();
    const base::UnixSeconds ca_end = authority_.certificate().not_after;
    if (now >= ca_end) {
      return base::MakeStatus(base::StatusCode::kFailedPrecondition, "the CA has ended");
    }
    ASSIGN_OR_RETURN(const Serial serial, serials_.Next());
    ASSIGN_OR_RETURN(const LeafKeyPtr key, CurrentKey());
    Leaf leaf;
    leaf.name = checked.name();
    leaf.serial_hex =
        base::HexEncode({reinterpret_cast<const char*>(serial.data()), serial.size()});
    leaf.key_pem = {key, &key->pem};
    leaf.not_before = now - kBackdated.count();
    leaf.not_after = std::min(now + options_.lifetime.count(), ca_end);

    if (const base::Status recorded = record_(leaf.name, leaf.serial_hex); !recorded.ok()) {
      return base::MakeStatus(base::StatusCode::kUnavailable,
                              "intent not recorded: " + base::Message(recorded));
    }
    const std::string tbs =
        template_.Tbs({serial, leaf.not_before, leaf.not_after, key->spki_der, leaf.name});
    ASSIGN_OR_RETURN(const std::string der, crypto::SignCertificate(tbs, authority_.key()));
    leaf.chain_pem = crypto::PemEncode(crypto::kCertificateLabel, der);
    return leaf;
  }

 private:
  // An imported CA may have no identifier; any value fits it then.
  static std::string AuthorityKeyId(const crypto::Certificate& ca) {
    return ca.key_id.empty() ? crypto::KeyIdOfSpki(ca.spki_der) : ca.key_id;
  }

  base::StatusOr<LeafKeyPtr> CurrentKey() {
    if (options_.key_epoch == std::chrono::seconds(0)) return NewLeafKey();
    const base::BootTime now = clock_.BootNow();
    base::MutexLock lock(mutex_);
    if (epoch_key_ == nullptr || now >= epoch_end_) {
      ASSIGN_OR_RETURN(epoch_key_, NewLeafKey());
      epoch_end_ = now + options_.key_epoch;
    }
    return epoch_key_;
  }

  const Authority& authority_;
  const Options options_;
  const RecordIntent record_;
  const base::Clock& clock_;
  const crypto::LeafTemplate template_;
  SerialSource serials_;
  base::Mutex mutex_;
  LeafKeyPtr epoch_key_ GUARDED_BY(mutex_);
  base::BootTime epoch_end_ GUARDED_BY(mutex_){};
};

base::StatusOr<std::unique_ptr<Issuer>> Issuer::Make(const Authority& authority, Options options,
                                                     RecordIntent record,
                                                     const base::Clock& clock) {
  if (options.lifetime < kMinLifetime || options.lifetime > kMaxLifetime) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "leaf lifetime must be 15 minutes to 24 hours");
  }
  if (options.key_epoch < std::chrono::seconds(0)) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "key epoch must not be negative");
  }
  if (record == nullptr) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "nothing to record intents with");
  }
  return std::make_unique<TemplateIssuer>(authority, options, std::move(record), clock);
}

}  // namespace exeat::issuer
