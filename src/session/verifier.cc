#include "session/verifier.h"

#include <utility>

#include "base/mutex.h"
#include "session/claims_json.h"
#include "session/jws.h"
#include "session/verified_tokens.h"

namespace exeat::session {
namespace {

struct Keys {
  JwkSet set;
  std::uint64_t epoch = 0;
};

Verification Rejected(Rejection rejection) { return {rejection, nullptr}; }

class CachingVerifier final : public Verifier {
 public:
  explicit CachingVerifier(Options options)
      : options_(std::move(options)), verified_(options_.remembered_tokens) {}

  Verification Verify(std::string_view token, base::UnixSeconds now) const override {
    if (token.empty()) return Rejected(Rejection::kMissing);
    if (token.size() > kMaxTokenBytes) return Rejected(Rejection::kInvalid);
    if (auto claims = verified_.Find(token); claims != nullptr) {
      return CheckTime(std::move(claims), now);
    }
    const std::shared_ptr<const Keys> keys = keys_.Get();
    Verification read = CheckToken(token, keys->set);
    if (!read.ok()) return read;
    verified_.Insert(token, read.claims, keys->epoch);
    return CheckTime(std::move(read.claims), now);
  }

  base::Status SetKeys(std::string_view jwks) override {
    ASSIGN_OR_RETURN(JwkSet set, JwkSet::Parse(jwks));
    base::MutexLock lock(replacing_);
    ++epoch_;
    keys_.Set(std::make_shared<const Keys>(Keys{std::move(set), epoch_}));
    verified_.Restart(epoch_);
    return absl::OkStatus();
  }

 private:
  // Everything but time, which is judged anew at each use.
  Verification CheckToken(std::string_view token, const JwkSet& keys) const {
    const auto jws = VerifyCompactJws(token, keys);
    if (!jws.has_value() || jws->typ != kTokenType) return Rejected(Rejection::kInvalid);
    auto parsed = ClaimsFromJson(jws->payload);
    if (!parsed.has_value() || parsed->claims.iss != options_.issuer) {
      return Rejected(Rejection::kInvalid);
    }
    if (!parsed->for_us) return Rejected(Rejection::kAudience);
    return {Rejection::kNone, std::make_shared<const VerifiedClaims>(std::move(parsed->claims))};
  }

  Verification CheckTime(std::shared_ptr<const VerifiedClaims> claims,
                         base::UnixSeconds now) const {
    const base::UnixSeconds skew = options_.skew.count();
    if (now < claims->nbf - skew) return Rejected(Rejection::kNotYetValid);
    if (now >= claims->exp + skew) return Rejected(Rejection::kExpired);
    return {Rejection::kNone, std::move(claims)};
  }

  const Options options_;
  base::Mutex replacing_;
  std::uint64_t epoch_ GUARDED_BY(replacing_) = 0;
  base::Published<std::shared_ptr<const Keys>> keys_;
  mutable VerifiedTokens verified_;
};

}  // namespace

base::StatusOr<std::unique_ptr<Verifier>> Verifier::Make(Options options, std::string_view jwks) {
  if (!IsClaimText(options.issuer)) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "no issuer to verify against");
  }
  if (options.skew < std::chrono::seconds(0) || options.skew > kMaxSkew) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "skew must be 0 to 60 seconds");
  }
  auto verifier = std::make_unique<CachingVerifier>(std::move(options));
  RETURN_IF_ERROR(verifier->SetKeys(jwks));
  return verifier;
}

}  // namespace exeat::session
