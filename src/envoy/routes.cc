#include "envoy/routes.h"

#include <fmt/format.h>

#include <utility>

#include "envoy/asked_once.h"
#include "envoy/credential_filters.h"
#include "envoy/hygiene.h"
#include "envoy/names.h"
#include "envoy/rbac.h"

namespace exeat::envoy {
namespace {

constexpr std::uint16_t kHttpsPort = 443;
constexpr char kRbacFilter[] = "envoy.filters.http.rbac";

// Long answers are normal (streams, downloads): silence ends a request, not its age.
constexpr char kIdleTimeout[] = "300s";
constexpr char kUpgradeIdleTimeout[] = "3600s";

// Held for a signature; without this it is the listener's buffer, 64 KiB.
constexpr std::uint32_t kMostBodyHeld = 8'388'608;

Json SniIs(const std::string& host) {
  return {{"name", kSniHeader}, {"string_match", Exact(host)}};
}

Json IsWebSocket() {
  return {{"name", "upgrade"}, {"string_match", {{"exact", "websocket"}, {"ignore_case", true}}}};
}

// Only failures before the request left are tried again, on another address.
Json Retry() {
  const Json other_host =
      Extension("envoy.retry_host_predicates.previous_hosts",
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate");
  return {{"retry_on", "connect-failure,refused-stream,reset-before-request"},
          {"num_retries", 2},
          {"retry_host_predicate", Json::array({other_host})},
          {"host_selection_retry_max_attempts", 3}};
}

// A body that is signed is held until it is whole.
bool HoldsBody(const policy::Policy& policy, const policy::Destination& destination) {
  const policy::Credential* credential = policy.FindCredential(destination.credential);
  return credential != nullptr && credential->kind == policy::CredentialKind::kAwsSigv4 &&
         !SignsNoBody(*credential);
}

// `shared`: the session's grants say which of the host's destinations serves it.
Json Route(const policy::Policy& policy, const policy::Destination& destination, std::uint16_t port,
           bool upgrade, bool shared) {
  Json headers = Json::array({SniIs(destination.host)});
  if (upgrade) headers.push_back(IsWebSocket());
  // What leaves names the destination in our spelling, not in the guest's.
  const std::string authority =
      port == kHttpsPort ? destination.host : fmt::format("{}:{}", destination.host, port);
  Json match = {{"prefix", "/"}, {"headers", std::move(headers)}};
  if (shared && !destination.grant.empty()) {
    match["dynamic_metadata"] = Json::array({HoldsGrant(destination.grant)});
  }
  Json route = {{"name", ClusterName(destination, port)},
                {"match", std::move(match)},
                {"metadata",
                 {{"filter_metadata", {{kRouteNamespace, {{kDestinationKey, destination.name}}}}}}},
                {"route",
                 {{"cluster", upgrade ? UpgradeClusterName(destination, port)
                                      : ClusterName(destination, port)},
                  {"host_rewrite_literal", authority},
                  {"timeout", "0s"},
                  {"idle_timeout", upgrade ? kUpgradeIdleTimeout : kIdleTimeout},
                  {"retry_policy", Retry()}}}};
  if (HoldsBody(policy, destination)) route["request_body_buffer_limit"] = kMostBodyHeld;
  if (shared) route["typed_per_filter_config"] = {{kRbacFilter, DestinationRbac(destination)}};
  return route;
}

// Fixed denial; RBAC is off here because its own answer would hide the better reason.
Json Misdirected() {
  return {{"name", "misdirected"},
          {"match", Json::object({{"prefix", "/"}})},
          {"direct_response", Json::object({{"status", 421}})},
          {"typed_per_filter_config", {{kRbacFilter, NoRbac()}}}};
}

// No other route matches CONNECT, and without a route ext_authz is skipped: so that the refusal is
// judged and recorded, it has a route of its own.
Json NoConnect() {
  return {{"name", "connect"},
          {"match", {{"connect_matcher", Json::object()}}},
          {"direct_response", Json::object({{"status", 403}})},
          {"typed_per_filter_config", {{kRbacFilter, NoRbac()}}}};
}

}  // namespace

std::string ClusterName(const policy::Destination& destination, std::uint16_t port) {
  return fmt::format("{}:{}", destination.name, port);
}

std::string UpgradeClusterName(const policy::Destination& destination, std::uint16_t port) {
  return fmt::format("{}:{}/upgrade", destination.name, port);
}

Json VirtualHost(const policy::Policy& policy,
                 const std::vector<const policy::Destination*>& serving, std::uint16_t port) {
  const policy::Destination& first = *serving.front();
  const bool shared = serving.size() > 1;
  Json domains = Json::array({fmt::format("{}:{}", first.host, port)});
  if (port == kHttpsPort) domains.push_back(first.host);
  Json overrides = Json::object();
  if (!shared) overrides[kRbacFilter] = DestinationRbac(first);
  if (first.authorize == policy::Authorize::kConnection) {
    overrides[kExtAuthzFilter] = SkipVetted(first, port);
  }
  Json routes = Json::array({NoConnect()});
  for (const policy::Destination* destination : serving) {
    for (const bool upgrade : {true, false}) {
      routes.push_back(Route(policy, *destination, port, upgrade, shared));
    }
  }
  routes.push_back(Misdirected());
  return {{"name", ClusterName(first, port)},
          {"domains", std::move(domains)},
          {"typed_per_filter_config", std::move(overrides)},
          {"routes", std::move(routes)}};
}

Json UnlistedHost() {
  return {{"name", "unlisted"},
          {"domains", Json::array({"*"})},
          {"routes", Json::array({NoConnect(), Misdirected()})}};
}

Json RoutesHead(const policy::Policy& policy) {
  return Typed("envoy.config.route.v3.RouteConfiguration",
               {{"name", kRouteConfig},
                {"request_headers_to_remove", Strings(RequestHeadersToRemove(policy))},
                {"response_headers_to_remove", Strings(ResponseHeadersToRemove(policy))},
                {"typed_per_filter_config", {{kCleanerFilter, Cleaning(policy)}}}});
}

}  // namespace exeat::envoy
