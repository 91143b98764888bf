#include "envoy/jwt_authn.h"

#include "envoy/names.h"
#include "session/claims.h"

namespace exeat::envoy {
namespace {

// Signatures verified once a token and worker; times and audiences are judged on every request.
constexpr int kCachedTokens = 1000;

Json Provider(const TokenTrust& trust, const char* header, const char* prefix,
              const char* metadata_key) {
  Json place = Json::object({{"name", header}});
  if (*prefix != '\0') place["value_prefix"] = prefix;
  // What serves a host may depend on the session, so the route is picked again once that is known.
  return {{"issuer", trust.issuer},
          {"clear_route_cache", true},
          {"audiences", Json::array({session::kTokenAudience})},
          {"require_expiration", true},
          {"clock_skew_seconds", trust.skew_s},
          {"local_jwks", Json::object({{"inline_string", trust.jwks}})},
          {"from_headers", Json::array({place})},
          {"payload_in_metadata", metadata_key},
          {"forward", true},
          {"jwt_cache_config", Json::object({{"jwt_cache_size", kCachedTokens}})}};
}

Json Provided(const char* name) { return Json::object({{"provider_name", name}}); }
Json Any(Json first, Json second) {
  return {{"requires_any", {{"requirements", Json::array({first, second})}}}};
}
Json All(Json first, Json second) {
  return {{"requires_all", {{"requirements", Json::array({first, second})}}}};
}

// A path prefix never matches CONNECT, so each rule stands twice.
void AddRule(Json& rules, const Json& headers, const Json& requirement) {
  Json connect = {{"connect_matcher", Json::object()}};
  Json other = {{"prefix", "/"}};
  if (!headers.empty()) connect["headers"] = other["headers"] = headers;
  for (const Json& match : {connect, other}) {
    rules.push_back(Json::object({{"match", match}, {"requires", requirement}}));
  }
}

Json Filter(const char* name, Json providers, Json rules) {
  return Typed("envoy.config.core.v3.TypedExtensionConfig",
               {{"name", name},
                {"typed_config",
                 Typed("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                       {{"providers", std::move(providers)}, {"rules", std::move(rules)}})}});
}

}  // namespace

Json JwtConnectFilter(const TokenTrust& trust) {
  Json rules = Json::array();
  AddRule(rules, Json::array(), Provided("session"));
  return Filter(kJwtConnectFilter,
                {{"session", Provider(trust, "proxy-authorization", "Bearer ", kSessionKey)}},
                std::move(rules));
}

Json JwtBumpFilter(const TokenTrust& trust) {
  const Json providers = {{"tunnel", Provider(trust, kTunnelHeader, "Bearer ", kSessionKey)},
                          {"header", Provider(trust, kSessionHeader, "", kSessionKey)},
                          {"bearer", Provider(trust, "authorization", "Bearer ", kSessionKey)},
                          {"apikey", Provider(trust, "x-api-key", "", kSessionKey)},
                          {"beside", Provider(trust, kSessionHeader, "", kBesideKey)}};
  const Json transparent = {{"name", kLegHeader}, {"string_match", Exact(kLegTransparent)}};
  const Json has_header = {{"name", kSessionHeader}, {"present_match", true}};
  const Json absent = {{"allow_missing", Json::object()}};

  Json rules = Json::array();
  AddRule(rules, Json::array({transparent, has_header}), Provided("header"));
  AddRule(rules, Json::array({transparent}), Any(Provided("bearer"), Provided("apikey")));
  AddRule(rules, Json::array(), All(Provided("tunnel"), Any(Provided("beside"), absent)));
  return Filter(kJwtBumpFilter, providers, std::move(rules));
}

}  // namespace exeat::envoy
