#include "envoy/chain_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "envoy/asked_once.h"
#include "envoy/credential_filters.h"
#include "envoy/guard_reading.h"
#include "envoy/hygiene.h"
#include "envoy/leg_guard.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr char kRbacFilter[] = "envoy.filters.http.rbac";
constexpr char kRbac[] = "envoy.extensions.filters.http.rbac.v3.RBAC";
constexpr char kRateLimit[] = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
constexpr char kRouter[] = "envoy.extensions.filters.http.router.v3.Router";
constexpr char kUpstreamTls[] = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

// The chain, by what each place must hold; the discovered ones arrive as ECDS.
struct Place {
  const char* message;
  bool discovered;
};
constexpr std::array<Place, 7> kChain = {{{kCleanerMessage, false},
                                          {kJwtAuthnMessage, true},
                                          {kExtAuthzMessage, false},
                                          {kRbac, true},
                                          {kRbac, false},
                                          {kRateLimit, true},
                                          {kRouter, false}}};

base::Status CheckAction(const Resource& resource, const Json& action) {
  for (const char* key : {"cluster_header", "weighted_clusters", "cluster_specifier_plugin",
                          "inline_cluster_specifier_plugin", "request_mirror_policies"}) {
    if (!Member(action, key).is_null()) {
      return Refuse(resource.name, fmt::format("a route names its cluster by {}", key));
    }
  }
  return absl::OkStatus();
}

bool IsOpen(const Json& principal) {
  static const Json& sid_present =
      *new Json({{"sourced_metadata",
                  {{"metadata_source", "DYNAMIC"},
                   {"metadata_matcher",
                    {{"filter", "envoy.filters.http.jwt_authn"},
                     {"path", Path({"session", "sid"})},
                     {"value", Json::object({{"present_match", true}})}}}}}});
  for (const Json& id : At(principal, {"and_ids", "ids"})) {
    if (id == sid_present) return false;
  }
  return true;
}

const Json& HttpFilters(const Resource& cluster) {
  return At(cluster.body, {"typed_extension_protocol_options", kHttpOptions, "http_filters"});
}

const Json& UpstreamTls(const Resource& cluster) {
  return At(cluster.body, {"transport_socket", "typed_config"});
}

base::Status CheckCluster(const Resource& cluster) {
  const Json& filters = HttpFilters(cluster);
  if (filters.size() < 3 || Member(filters.front(), "name") != "envoy.filters.http.upstream_rbac" ||
      Member(filters.back(), "name") != "envoy.filters.http.upstream_codec") {
    return Refuse(cluster.name, "the resolved address is not checked before the injector");
  }
  const Json& tls = UpstreamTls(cluster);
  const Json& validation = At(tls, {"common_tls_context", "combined_validation_context"});
  if (!HasType(tls, kUpstreamTls) ||
      At(validation, {"default_validation_context", "match_typed_subject_alt_names"}).empty() ||
      At(validation, {"validation_context_sds_secret_config", "name"}).empty()) {
    return Refuse(cluster.name, "a credential would travel without verified TLS");
  }
  return absl::OkStatus();
}

// What an origin sends beside a refused handshake is cleaned here and nowhere else.
base::Status CheckCleaning(const Resource& routes) {
  const Json& cleaning = At(routes.body, {"typed_per_filter_config", kCleanerFilter});
  const Json& mutations = Member(cleaning, "mutations");
  const Json& removals = Member(mutations, "response_mutations");
  bool right = HasType(cleaning, kCleaningMessage) && cleaning.size() == 2 &&
               mutations.size() == 1 && !removals.empty();
  std::set<std::string> removed = {kDenyReasonHeader};
  for (const Json& removal : removals) {
    const Json& name = Member(removal, "remove");
    if (name.is_string()) removed.insert(name.get<std::string>());
    right &=
        removal.size() == 1 && (name.is_string() || !Member(removal, "remove_on_match").is_null());
  }
  for (const Json& name : Member(routes.body, "response_headers_to_remove")) {
    right &= name.is_string() && removed.contains(name.get<std::string>());
  }
  if (right) return absl::OkStatus();
  return Refuse(routes.name, "not every answer of an origin is cleaned");
}

const Json& OverrideOf(const Json& scope, const char* filter) {
  return At(scope, {"typed_per_filter_config", filter});
}

// Whatever a route leads to, Check is asked about it, or was when its tunnel was opened.
base::Status CheckAsked(const Resource& routes, const Json& host) {
  const Json& skip = OverrideOf(host, kExtAuthzFilter);
  bool asked = OverrideOf(routes.body, kExtAuthzFilter).is_null() &&
               (skip.is_null() || IsBoundSkip(skip, Member(host, "domains")));
  for (const Json& route : Member(host, "routes")) {
    asked &= OverrideOf(route, kExtAuthzFilter).is_null();
  }
  if (asked) return absl::OkStatus();
  return Refuse(routes.name, "ext_authz is skipped for more than a tunnel vetted for that host");
}

base::Status CheckOpening(const Resource& routes, const Json& host, const Json& route) {
  const Json* opening = nullptr;
  for (const Json* scope : {&routes.body, &host, &route}) {
    const Json& overrides = Member(*scope, "typed_per_filter_config");
    for (const auto& [filter, config] : overrides.items()) {
      if (scope == &routes.body && filter == kCleanerFilter) continue;  // CheckCleaning
      if (filter == kExtAuthzFilter) continue;                          // CheckAsked
      if (filter != kRbacFilter) return Refuse(routes.name, "a route overrides " + filter);
      opening = &config;
    }
  }
  if (opening == nullptr) return absl::OkStatus();  // the base denies
  const Json& rules = At(*opening, {"rbac", "rules"});
  if (Member(rules, "action") != "ALLOW" || Member(rules, "policies").empty()) {
    return Refuse(routes.name, "a route to a credential switches rbac off");
  }
  for (const Json& policy : Member(rules, "policies")) {
    const Json& principals = Member(policy, "principals");
    if (principals.empty()) return Refuse(routes.name, "an rbac policy without principals");
    for (const Json& principal : principals) {
      if (IsOpen(principal)) return Refuse(routes.name, "rbac does not demand a session");
    }
  }
  return absl::OkStatus();
}

bool DeniesAll(const Json& rbac) {
  if (At(rbac, {"rules", "action"}) != "DENY") return false;
  const Json any = Json::array({Json::object({{"any", true}})});
  for (const Json& policy : At(rbac, {"rules", "policies"})) {
    if (Member(policy, "permissions") == any && Member(policy, "principals") == any) return true;
  }
  return false;
}

const Json& Asked(const Json& config, std::string_view message) {
  return message == kExtAuthzMessage ? ExtAuthzInside(config) : config;
}

bool Fits(const Json& filter, const Place& place) {
  if (IsTrue(Member(filter, "disabled")) || IsTrue(Member(filter, "is_optional"))) return false;
  const Json& config = Member(filter, "typed_config");
  if (!place.discovered) return HasType(Asked(config, place.message), place.message);
  const Json& discovery = Member(filter, "config_discovery");
  return Member(discovery, "type_urls") == Json::array({TypeUrl(place.message)}) &&
         Member(discovery, "default_config").is_null();
}

base::Status CheckFilters(const Resource& listener, const Json& manager) {
  const Json& filters = Member(manager, "http_filters");
  bool fits = filters.size() == kChain.size();
  for (std::size_t i = 0; fits && i < kChain.size(); ++i) fits = Fits(filters[i], kChain[i]);
  if (!fits) {
    return Refuse(listener.name,
                  "a route to a credential is not behind header_mutation, jwt_authn, ext_authz, "
                  "revoked, rbac, "
                  "ratelimit, router, in this order");
  }
  if (Member(filters[0], "typed_config").size() != 1) {
    return Refuse(listener.name, "header_mutation changes more than the routes say");
  }
  if (MayPassUnasked(ExtAuthzInside(Member(filters[2], "typed_config")))) {
    return Refuse(listener.name, "ext_authz can be passed without an answer");
  }
  if (!DeniesAll(Member(filters[4], "typed_config"))) {
    return Refuse(listener.name, "the base rbac does not deny all");
  }
  for (const Json& upgrade : Member(manager, "upgrade_configs")) {
    if (!Member(upgrade, "filters").empty()) {
      return Refuse(listener.name, "an upgrade has a chain of its own");
    }
  }
  return absl::OkStatus();
}

// jwt_authn without a rule for a request lets it pass. Routes may ask for claims, which are known
// only after it.
base::Status CheckJwt(const Resource& filter) {
  for (const Json& provider : At(filter.body, {"typed_config", "providers"})) {
    if (!IsTrue(Member(provider, "clear_route_cache"))) {
      return Refuse(filter.name, "the route is not picked again once the session is known");
    }
  }
  const Json& rules = At(filter.body, {"typed_config", "rules"});
  if (rules.empty()) return Refuse(filter.name, "jwt_authn has no rules");
  for (const Json& rule : rules) {
    const Json& requirement = Member(rule, "requires");
    if (requirement.empty() || !Member(requirement, "allow_missing").is_null() ||
        !Member(requirement, "allow_missing_or_failed").is_null()) {
      return Refuse(filter.name, "a jwt_authn rule requires no token");
    }
  }
  const Json& last = Member(rules.back(), "match");
  if (last != Json::object({{"prefix", "/"}})) {
    return Refuse(filter.name, "jwt_authn has no rule for every path");
  }
  return absl::OkStatus();
}

constexpr std::array<const char*, 3> kSeenInOrder = {kClusterType, kRouteType, kListenerType};

}  // namespace

base::Status ChainCheck::See(const Resource& resource) {
  for (std::size_t i = 0; i < kSeenInOrder.size(); ++i) {
    if (resource.type_url != kSeenInOrder[i]) continue;
    if (i < latest_) return Refuse(resource.name, "comes too late to be judged");
    latest_ = i;
  }
  if (resource.type_url == kClusterType) RETURN_IF_ERROR(SeeCluster(resource));
  if (resource.type_url == kRouteType) RETURN_IF_ERROR(SeeRoutes(resource));
  if (resource.type_url == kListenerType) RETURN_IF_ERROR(SeeListener(resource));
  if (resource.type_url == kExtensionType &&
      HasType(Member(resource.body, "typed_config"), kJwtAuthnMessage)) {
    RETURN_IF_ERROR(CheckJwt(resource));
  }
  return CheckLegs(resource);
}

base::Status ChainCheck::SeeCluster(const Resource& cluster) {
  const Attaches attaches =
      WhatAttaches(HttpFilters(cluster), Member(UpstreamTls(cluster), "common_tls_context"));
  if (attaches == Attaches::kNothing) return absl::OkStatus();
  if (attaches == Attaches::kForEver) {
    return Refuse(cluster.name, "a credential that is withdrawn would still be attached");
  }
  injecting_.insert(cluster.name);
  return CheckCluster(cluster);
}

base::Status ChainCheck::SeeRoutes(const Resource& routes) {
  bool leads_to_credential = false;
  for (const Json& host : Member(routes.body, "virtual_hosts")) {
    RETURN_IF_ERROR(CheckAsked(routes, host));
    if (!OverrideOf(host, kExtAuthzFilter).is_null()) guarded_.insert(routes.name);
    for (const Json& route : Member(host, "routes")) {
      const Json& action = Member(route, "route");
      RETURN_IF_ERROR(CheckAction(routes, action));
      const Json& cluster = Member(action, "cluster");
      if (!cluster.is_string() || !injecting_.contains(cluster.get<std::string>())) continue;
      if (!std::exchange(leads_to_credential, true)) RETURN_IF_ERROR(CheckCleaning(routes));
      guarded_.insert(routes.name);
      if (!At(route, {"match", "connect_matcher"}).is_null() ||
          !Member(action, "upgrade_configs").is_null()) {
        return Refuse(routes.name, "a route to a credential would carry raw bytes");
      }
      RETURN_IF_ERROR(CheckOpening(routes, host, route));
    }
  }
  return absl::OkStatus();
}

// A name in a listener would be a way to the cluster that is no route of ours.
base::Status ChainCheck::SeeListener(const Resource& listener) {
  base::Status status;
  Visit(listener.body, [&](const Json& node) {
    if (!status.ok()) return;
    if (node.is_string() && injecting_.contains(node.get<std::string>())) {
      status = Refuse(listener.name, "a listener names a cluster that injects");
    } else if (HasType(node, kManagerMessage)) {
      status = CheckManager(listener, node);
    } else {
      status = CheckAction(listener, node);
    }
  });
  return status;
}

base::Status ChainCheck::CheckManager(const Resource& listener, const Json& manager) {
  if (!Member(manager, "scoped_routes").is_null()) {
    return Refuse(listener.name, "scoped routes are not judged");
  }
  const Json& name = At(manager, {"rds", "route_config_name"});
  if (!name.is_string() || !guarded_.contains(name.get<std::string>())) return absl::OkStatus();
  RETURN_IF_ERROR(CheckFilters(listener, manager));
  return CheckInside(listener, manager);
}

base::Status CheckChain(const std::vector<Resource>& resources) {
  ChainCheck check;
  for (const char* type : kSeenInOrder) {
    for (const Resource& resource : resources) {
      if (resource.type_url == type) RETURN_IF_ERROR(check.See(resource));
    }
  }
  for (const Resource& resource : resources) {
    const auto is = [&](const char* type) { return resource.type_url == type; };
    if (std::none_of(kSeenInOrder.begin(), kSeenInOrder.end(), is)) {
      RETURN_IF_ERROR(check.See(resource));
    }
  }
  return absl::OkStatus();
}

}  // namespace exeat::envoy
