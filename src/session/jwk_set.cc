#include "session/jwk_set.h"

#include <optional>
#include <utility>

#include "base/encoding.h"
#include "fmt/format.h"
#include "session/claims.h"
#include "session/strict_json.h"

namespace exeat::session {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxDocumentBytes = 64 << 10;
constexpr std::size_t kMaxKeys = 64;

base::Status Refuse(std::size_t place, std::string_view why) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument,
                          fmt::format("JWKS keys[{}]: {}", place, why));
}

// The member's text; empty when it is absent or no string, which no rule here accepts.
std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

base::StatusOr<crypto::PublicKey> ReadKey(const Json& jwk, std::size_t place) {
  if (!jwk.is_object()) return Refuse(place, "not an object");
  for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    if (jwk.contains(secret)) return Refuse(place, "holds a private or secret part");
  }
  if (Text(jwk, "kty") != "EC") return Refuse(place, "kty must be EC");
  if (Text(jwk, "crv") != "P-256") return Refuse(place, "crv must be P-256");
  if (Text(jwk, "alg") != "ES256") return Refuse(place, "alg must be ES256");
  if (jwk.contains("use") && Text(jwk, "use") != "sig") return Refuse(place, "use must be sig");
  if (jwk.contains("key_ops") && jwk["key_ops"] != Json::array({"verify"})) {
    return Refuse(place, "key_ops must be [verify]");
  }
  if (!IsClaimText(Text(jwk, "kid"))) {
    return Refuse(place, "kid must be 1 to 128 visible ASCII characters");
  }
  const auto x = base::Base64UrlDecode(Text(jwk, "x"));
  const auto y = base::Base64UrlDecode(Text(jwk, "y"));
  if (!x.has_value() || !y.has_value()) return Refuse(place, "x and y must be base64url");
  auto key = crypto::PublicKey::FromPoint(*x, *y);
  if (!key.ok()) return Refuse(place, base::Message(key.status()));
  return key;
}

}  // namespace

base::StatusOr<JwkSet> JwkSet::Parse(std::string_view document) {
  if (document.size() > kMaxDocumentBytes) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "JWKS: larger than 64 KiB");
  }
  const auto parsed = ParseStrictObject(document);
  if (!parsed.has_value() || !parsed->contains("keys") || !(*parsed)["keys"].is_array()) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "JWKS: expected one JSON object with an array `keys`");
  }
  const Json& keys = (*parsed)["keys"];
  if (keys.empty()) {
    return base::MakeStatus(base::StatusCode::kFailedPrecondition, "JWKS: holds no key");
  }
  if (keys.size() > kMaxKeys) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "JWKS: more than 64 keys");
  }
  JwkSet set;
  for (std::size_t place = 0; place < keys.size(); ++place) {
    ASSIGN_OR_RETURN(crypto::PublicKey key, ReadKey(keys[place], place));
    if (!set.keys_.emplace(Text(keys[place], "kid"), std::move(key)).second) {
      return Refuse(place, "kid stands twice");
    }
  }
  return set;
}

const crypto::PublicKey* JwkSet::Find(std::string_view kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace exeat::session
