#include "session/claims_json.h"

#include <utility>

#include "session/strict_json.h"

namespace exeat::session {
namespace {

using Json = nlohmann::json;

bool Take(const Json& object, const char* name, std::string& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}

bool Take(const Json& object, const char* name, base::UnixSeconds& out) {
  const auto found = object.find(name);
  // Unsigned says that it was written as a non-negative integer below 2^64.
  if (found == object.end() || !found->is_number_unsigned()) return false;
  const auto value = found->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(kMaxTime)) return false;
  out = static_cast<base::UnixSeconds>(value);
  return true;
}

bool Take(const Json& object, const char* name, std::vector<std::string>& out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array() || found->size() > kMaxGrants) return false;
  for (const Json& item : *found) {
    if (!item.is_string()) return false;
    out.push_back(item.get<std::string>());
  }
  return true;
}

// nullopt when aud is neither a string nor a list of strings.
std::optional<bool> IsForUs(const Json& object) {
  const auto aud = object.find("aud");
  if (aud == object.end()) return std::nullopt;
  if (aud->is_string()) return *aud == kTokenAudience;
  if (!aud->is_array()) return std::nullopt;
  bool found = false;
  for (const Json& item : *aud) {
    if (!item.is_string()) return std::nullopt;
    found = found || item == kTokenAudience;
  }
  return found;
}

}  // namespace

std::string ClaimsToJson(const Claims& claims) {
  return Json{{"iss", claims.iss}, {"aud", kTokenAudience}, {"sub", claims.sub},
              {"sid", claims.sid}, {"jti", claims.jti},     {"iat", claims.iat},
              {"nbf", claims.nbf}, {"exp", claims.exp},     {"grants", claims.grants}}
      .dump();
}

std::optional<ParsedClaims> ClaimsFromJson(std::string_view payload) {
  const auto object = ParseStrictObject(payload);
  if (!object.has_value()) return std::nullopt;
  ParsedClaims out;
  Claims& claims = out.claims;
  if (!Take(*object, "iss", claims.iss) || !Take(*object, "sub", claims.sub) ||
      !Take(*object, "sid", claims.sid) || !Take(*object, "jti", claims.jti) ||
      !Take(*object, "iat", claims.iat) || !Take(*object, "nbf", claims.nbf) ||
      !Take(*object, "exp", claims.exp) || !Take(*object, "grants", claims.grants) ||
      !CheckClaims(claims).ok()) {
    return std::nullopt;
  }
  const auto for_us = IsForUs(*object);
  if (!for_us.has_value()) return std::nullopt;
  out.for_us = *for_us;
  return out;
}

}  // namespace exeat::session
