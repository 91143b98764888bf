#include "session/signing_keys.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mutex.h"
#include "crypto/key.h"
#include "fmt/format.h"
#include "session/claims_json.h"
#include "session/strict_json.h"
#include "session/verifier.h"

namespace exeat::session {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxKeyFileBytes = 4096;
constexpr std::size_t kMaxStateBytes = 64 << 10;
constexpr std::size_t kKidDigits = 32;

struct Key {
  std::string kid;
  crypto::PrivateKey key;
  Json jwk;
};
using KeyPtr = std::shared_ptr<const Key>;

// One state of the directory, replaced whole.
struct Ring {
  KeyPtr signing;
  std::map<std::string, KeyPtr> retired;
  std::map<std::string, base::UnixSeconds> retired_at;
};
using RingPtr = std::shared_ptr<const Ring>;

base::Status Broken(const std::string& path, std::string_view why) {
  return base::MakeStatus(base::StatusCode::kFailedPrecondition, fmt::format("{}: {}", path, why));
}

// Named after its own content, so a file that holds another key than its name says is noticed.
base::StatusOr<KeyPtr> Named(crypto::PrivateKey key) {
  ASSIGN_OR_RETURN(const crypto::PublicKey pub, key.Public());
  std::string kid = crypto::Sha256Hex(pub.SpkiDer()).substr(0, kKidDigits);
  Json jwk{{"kty", "EC"},
           {"crv", "P-256"},
           {"alg", "ES256"},
           {"use", "sig"},
           {"kid", kid},
           {"x", base::Base64UrlEncode(pub.x())},
           {"y", base::Base64UrlEncode(pub.y())}};
  return std::make_shared<const Key>(Key{std::move(kid), std::move(key), std::move(jwk)});
}

bool IsKid(std::string_view text) {
  return text.size() == kKidDigits && base::HexDecode(text).has_value() &&
         text.find_first_of("ABCDEF") == std::string_view::npos;
}

class KeyDirectory final : public SigningKeys {
 public:
  KeyDirectory(std::string directory, const base::Clock& clock)
      : directory_(std::move(directory)), clock_(clock) {}

  base::Status Load() {
    RETURN_IF_ERROR(base::EnsurePrivateDirectory(directory_));
    base::MutexLock lock(changing_);
    const auto state = base::ReadPrivateFile(StatePath(), kMaxStateBytes);
    if (state.ok()) return LoadState(*state);
    if (state.status().code() != base::StatusCode::kNotFound) {
      return base::MakeStatus(base::StatusCode::kFailedPrecondition, base::Message(state.status()));
    }
    return StartState();
  }

  base::StatusOr<std::string> Sign(const Claims& claims) const override {
    RETURN_IF_ERROR(CheckClaims(claims));
    const base::UnixSeconds lifetime = claims.exp - claims.iat;
    if (lifetime <= 0 || lifetime > kMaxTokenLifetime.count()) {
      return base::MakeStatus(base::StatusCode::kInvalidArgument,
                              "exp: expected 1 to 3600 seconds after iat");
    }
    const KeyPtr key = ring_.Get()->signing;
    const Json header{{"alg", "ES256"}, {"kid", key->kid}, {"typ", kTokenType}};
    std::string token = base::Base64UrlEncode(header.dump());
    token.append(1, '.').append(base::Base64UrlEncode(ClaimsToJson(claims)));
    ASSIGN_OR_RETURN(const std::string signature, key->key.SignRaw(token));
    token.append(1, '.').append(base::Base64UrlEncode(signature));
    if (token.size() > kMaxTokenBytes) {
      return base::MakeStatus(
          base::StatusCode::kInvalidArgument,
          fmt::format("grants: the token would be longer than {} bytes", kMaxTokenBytes));
    }
    return token;
  }

  std::string Jwks() const override {
    const RingPtr ring = ring_.Get();
    Json keys = Json::array({ring->signing->jwk});
    for (const auto& [kid, key] : ring->retired) keys.push_back(key->jwk);
    return Json{{"keys", std::move(keys)}}.dump();
  }

  base::Status Rotate() override {
    base::MutexLock lock(changing_);
    ASSIGN_OR_RETURN(KeyPtr fresh, MakeKey());
    Ring next = *ring_.Get();
    const KeyPtr old = std::exchange(next.signing, std::move(fresh));
    next.retired[old->kid] = old;
    next.retired_at[old->kid] = clock_.UnixNow();
    return Commit(std::move(next));
  }

  base::Status WithdrawRetired(base::UnixSeconds retired_before) override {
    base::MutexLock lock(changing_);
    Ring next = *ring_.Get();
    std::vector<std::string> gone;
    for (const auto& [kid, at] : next.retired_at) {
      if (at < retired_before) gone.push_back(kid);
    }
    if (gone.empty()) return absl::OkStatus();
    for (const std::string& kid : gone) {
      next.retired.erase(kid);
      next.retired_at.erase(kid);
    }
    // The state first: a key file that it does not name is never used again.
    RETURN_IF_ERROR(Commit(std::move(next)));
    for (const std::string& kid : gone) {
      const std::string path = KeyPath(kid);
      if (unlink(path.c_str()) != 0 && errno != ENOENT) return base::ErrnoStatus(errno, path);
    }
    return absl::OkStatus();
  }

 private:
  std::string StatePath() const { return directory_ + "/keys.json"; }
  std::string KeyPath(const std::string& kid) const { return directory_ + "/" + kid + ".pem"; }

  base::StatusOr<KeyPtr> MakeKey() const {
    ASSIGN_OR_RETURN(crypto::PrivateKey key, crypto::PrivateKey::Generate());
    ASSIGN_OR_RETURN(const base::Secret pem, key.ToPem());
    ASSIGN_OR_RETURN(KeyPtr named, Named(std::move(key)));
    RETURN_IF_ERROR(base::WriteFileAtomically(KeyPath(named->kid), pem.Reveal(), 0600));
    return named;
  }

  base::StatusOr<KeyPtr> ReadKey(const std::string& kid) const {
    const std::string path = KeyPath(kid);
    auto pem = base::ReadPrivateFile(path, kMaxKeyFileBytes);
    if (!pem.ok()) {
      const bool gone = pem.status().code() == base::StatusCode::kNotFound;
      return gone ? Broken(path,
                           "gone, but keys.json still names it; put the file back, or remove "
                           "it from keys.json if no token of its may live")
                  : base::MakeStatus(base::StatusCode::kFailedPrecondition,
                                     base::Message(pem.status()));
    }
    const base::Secret secret(*std::move(pem));
    auto key = crypto::PrivateKey::FromPem(secret.Reveal());
    if (!key.ok()) return Broken(path, base::Message(key.status()));
    ASSIGN_OR_RETURN(KeyPtr named, Named(*std::move(key)));
    if (named->kid != kid) return Broken(path, "holds another key than its name says");
    return named;
  }

  // Durable, then in force.
  base::Status Commit(Ring next) REQUIRES(changing_) {
    const Json state{{"signing", next.signing->kid}, {"retired", next.retired_at}};
    RETURN_IF_ERROR(base::WriteFileAtomically(StatePath(), state.dump() + "\n", 0600));
    ring_.Set(std::make_shared<const Ring>(std::move(next)));
    return absl::OkStatus();
  }

  base::Status LoadState(std::string_view text) REQUIRES(changing_) {
    const auto state = ParseStrictObject(text);
    if (!state.has_value() || !state->contains("signing") || !(*state)["signing"].is_string() ||
        !state->contains("retired") || !(*state)["retired"].is_object()) {
      return Broken(StatePath(), "expected {\"signing\": KID, \"retired\": {KID: SECONDS}}");
    }
    Ring ring;
    for (const auto& [kid, at] : (*state)["retired"].items()) {
      if (!IsKid(kid) || !at.is_number_integer()) return Broken(StatePath(), "bad retired key");
      ASSIGN_OR_RETURN(ring.retired[kid], ReadKey(kid));
      ring.retired_at[kid] = at.get<base::UnixSeconds>();
    }
    const auto signing = (*state)["signing"].get<std::string>();
    if (!IsKid(signing) || ring.retired.contains(signing)) {
      return Broken(StatePath(), "bad signing key");
    }
    ASSIGN_OR_RETURN(ring.signing, ReadKey(signing));
    ring_.Set(std::make_shared<const Ring>(std::move(ring)));
    return absl::OkStatus();
  }

  // First start. One key without a state is the first start's own, ended between the two writes.
  base::Status StartState() REQUIRES(changing_) {
    std::vector<std::string> kids;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().extension() == ".pem") kids.push_back(entry->path().stem().string());
    }
    if (error) return base::ErrnoStatus(error.value(), directory_);
    if (kids.size() > 1) {
      return Broken(StatePath(), fmt::format("missing, and {} keys stand beside it: nothing says "
                                             "which one signs; restore keys.json, or move the keys "
                                             "away to start with a new one",
                                             kids.size()));
    }
    Ring ring;
    if (kids.empty()) {
      ASSIGN_OR_RETURN(ring.signing, MakeKey());
      base::LogInfo("made the first signing key", {{"kid", ring.signing->kid}});
    } else {
      ASSIGN_OR_RETURN(ring.signing, ReadKey(kids.front()));
    }
    return Commit(std::move(ring));
  }

  const std::string directory_;
  const base::Clock& clock_;
  base::Mutex changing_;
  base::Published<RingPtr> ring_;
};

}  // namespace

base::StatusOr<std::unique_ptr<SigningKeys>> SigningKeys::Open(const std::string& directory,
                                                               const base::Clock& clock) {
  auto keys = std::make_unique<KeyDirectory>(directory, clock);
  RETURN_IF_ERROR(keys->Load());
  return keys;
}

}  // namespace exeat::session
