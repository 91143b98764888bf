// Makes tokens that the product never would: any header, any payload, any key.
#pragma once

#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/testing/status_matchers.h"
#include "crypto/key.h"
#include "nlohmann/json.hpp"
#include "session/claims.h"
#include "session/claims_json.h"

namespace exeat::session {

class TokenForge {
 public:
  TokenForge() : key_(*crypto::PrivateKey::Generate()) {}

  static constexpr std::string_view kHeader =
      R"({"alg":"ES256","kid":"k1","typ":"exeat-session+jwt"})";

  // The key as a JWKS document under `kid`.
  std::string Jwks(std::string_view kid = "k1") const {
    return nlohmann::json{{"keys", nlohmann::json::array({Jwk(kid)})}}.dump();
  }
  nlohmann::json Jwk(std::string_view kid = "k1") const {
    const auto pub = key_.Public();
    return {{"kty", "EC"},
            {"crv", "P-256"},
            {"alg", "ES256"},
            {"use", "sig"},
            {"kid", kid},
            {"x", base::Base64UrlEncode(pub->x())},
            {"y", base::Base64UrlEncode(pub->y())}};
  }

  std::string Sign(std::string_view header, std::string_view payload) const {
    const std::string input = base::Base64UrlEncode(header) + "." + base::Base64UrlEncode(payload);
    return input + "." + base::Base64UrlEncode(*key_.SignRaw(input));
  }
  std::string Sign(const Claims& claims) const { return Sign(kHeader, ClaimsToJson(claims)); }
  // The same claims with one member set to the JSON text `value`, or removed when it is empty.
  std::string SignWith(const Claims& claims, const std::string& member,
                       std::string_view value) const {
    auto payload = nlohmann::json::parse(ClaimsToJson(claims));
    payload.erase(member);
    std::string text = payload.dump();
    if (!value.empty()) {
      text.insert(1, "\"" + member + "\":" + std::string(value) + ",");
    }
    return Sign(kHeader, text);
  }
  const crypto::PrivateKey& key() const { return key_; }

 private:
  crypto::PrivateKey key_;
};

// Good at `now` for 15 minutes.
inline Claims SampleClaims(base::UnixSeconds now) {
  return {"acme-dev", "agent-7", "sidsidsid", "jtijtijti", now, now, now + 900, {"anthropic"}};
}

}  // namespace exeat::session
