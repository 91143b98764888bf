#include "envoy/rbac.h"

#include <utility>

#include "envoy/names.h"
#include "resolver/resolver.h"

namespace exeat::envoy {
namespace {

constexpr char kRbac[] = "envoy.extensions.filters.http.rbac.v3.RBAC";
constexpr char kRbacPerRoute[] = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute";

Json AnyOf() { return Json::object({{"any", true}}); }

Json Rules(const char* action, const std::string& policy, Json permissions, Json principals) {
  return {{"action", action},
          {"policies",
           {{policy,
             {{"permissions", std::move(permissions)}, {"principals", std::move(principals)}}}}}};
}

Json ClaimIs(const char* claim, Json value) {
  return {
      {"filter", kJwtNamespace}, {"path", Path({kSessionKey, claim})}, {"value", std::move(value)}};
}

Json Principal(Json matcher) {
  return {{"sourced_metadata",
           {{"metadata_source", "DYNAMIC"}, {"metadata_matcher", std::move(matcher)}}}};
}

Json Claim(const char* claim, Json value) { return Principal(ClaimIs(claim, std::move(value))); }

Json AllOf(Json rules) { return {{"and_rules", {{"rules", std::move(rules)}}}}; }
Json OneOf(Json rules) { return {{"or_rules", {{"rules", std::move(rules)}}}}; }
Json Not(Json rule) { return Json::object({{"not_rule", std::move(rule)}}); }

Json Method(const std::string& method) {
  return {{"header", {{"name", ":method"}, {"string_match", Exact(method)}}}};
}

Json Methods(const std::vector<std::string>& methods) {
  Json list = Json::array();
  for (const std::string& method : methods) list.push_back(Method(method));
  return OneOf(std::move(list));
}

Json Rule(const policy::AllowRule& rule) {
  Json parts = Json::array();
  if (!rule.methods.empty()) parts.push_back(Methods(rule.methods));
  if (rule.path.has_value()) {
    const char* kind = rule.path->is_prefix() ? "prefix" : "exact";
    parts.push_back({{"url_path", {{"path", Json::object({{kind, rule.path->text()}})}}}});
  }
  if (parts.empty()) return AnyOf();
  return AllOf(std::move(parts));
}

Json Address(const policy::Cidr& range) {
  return {{"matcher",
           Extension("envoy.rbac.matchers.upstream_ip_port",
                     "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher",
                     {{"upstream_ip",
                       {{"address_prefix", range.address().ToString()},
                        {"prefix_len", range.prefix_length()}}}})}};
}

Json Addresses(const std::vector<policy::Cidr>& ranges) {
  Json list = Json::array();
  for (const policy::Cidr& range : ranges) list.push_back(Address(range));
  return OneOf(std::move(list));
}

}  // namespace

Json RevokedFilter(const std::vector<std::string>& sids) {
  Json principals = Json::array();
  for (const std::string& sid : sids) {
    principals.push_back(Claim("sid", Json::object({{"string_match", Exact(sid)}})));
  }
  Json permissions = Json::array({sids.empty() ? Not(AnyOf()) : AnyOf()});
  if (sids.empty()) principals.push_back(AnyOf());
  return Typed("envoy.config.core.v3.TypedExtensionConfig",
               {{"name", kRevokedFilter},
                {"typed_config",
                 Typed(kRbac, {{"rules", Rules("DENY", "revoked", permissions, principals)}})}});
}

Json BaseRbac() {
  return Extension(
      "envoy.filters.http.rbac", kRbac,
      {{"rules", Rules("DENY", "not_opened", Json::array({AnyOf()}), Json::array({AnyOf()}))}});
}

Json DestinationRbac(const policy::Destination& destination) {
  Json permissions = Json::array();
  permissions.push_back(Json::object({{"requested_server_name", Exact(destination.host)}}));
  permissions.push_back(Not(Methods({"CONNECT", "TRACE", "TRACK"})));
  if (destination.allow.has_value()) {
    Json rules = Json::array();
    for (const policy::AllowRule& rule : *destination.allow) rules.push_back(Rule(rule));
    // An empty list would be no rule at all.
    permissions.push_back(rules.empty() ? Not(AnyOf()) : OneOf(std::move(rules)));
  }
  Json ids = Json::array({Claim("sid", Json::object({{"present_match", true}}))});
  if (!destination.grant.empty()) {
    ids.push_back(Principal(HoldsGrant(destination.grant)));
  }
  const Json principal = {{"and_ids", {{"ids", std::move(ids)}}}};
  return Typed(
      kRbacPerRoute,
      {{"rbac",
        {{"rules", Rules("ALLOW", destination.name, Json::array({AllOf(std::move(permissions))}),
                         Json::array({principal}))}}}});
}

Json HoldsGrant(const std::string& grant) {
  const Json one_of = {{"one_of", Json::object({{"string_match", Exact(grant)}})}};
  return ClaimIs("grants", Json::object({{"list_match", one_of}}));
}

Json NoRbac() { return Typed(kRbacPerRoute); }

Json AddressRbac(const std::vector<policy::Cidr>& allow_private) {
  Json denied = Addresses(resolver::DenySet());
  if (!allow_private.empty()) {
    denied = AllOf(Json::array({std::move(denied), Not(Addresses(allow_private))}));
  }
  return Extension("envoy.filters.http.upstream_rbac", kRbac,
                   {{"rules", Rules("DENY", "denyset", Json::array({std::move(denied)}),
                                    Json::array({AnyOf()}))}});
}

}  // namespace exeat::envoy
