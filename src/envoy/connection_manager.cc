#include "envoy/connection_manager.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "envoy/access_logs.h"
#include "envoy/ext_authz.h"
#include "envoy/hygiene.h"
#include "envoy/local_replies.h"
#include "envoy/names.h"
#include "envoy/rbac.h"

namespace exeat::envoy {
namespace {

constexpr char kJwtAuthn[] = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";

// No default_config: until the filter arrives every request fails with 500.
Json Discovered(const char* name, std::string_view message) {
  return {{"name", name},
          {"config_discovery",
           {{"config_source", FromAds()}, {"type_urls", Json::array({TypeUrl(message)})}}}};
}

Json Router() {
  return Extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router",
                   Json::object({{"suppress_envoy_headers", true}}));
}

Json Manager(const char* name, const char* leg) {
  return {{"stat_prefix", name},
          {"codec_type", "AUTO"},
          {"use_remote_address", true},
          {"skip_xff_append", true},
          {"generate_request_id", true},
          {"always_set_request_id_in_response", true},
          {"server_header_transformation", "PASS_THROUGH"},
          {"max_request_headers_kb", 60},
          {"request_headers_timeout", "10s"},
          {"stream_idle_timeout", "300s"},
          {"delayed_close_timeout", "0.050s"},
          {"common_http_protocol_options",
           {{"headers_with_underscores_action", "REJECT_REQUEST"},
            {"max_headers_count", 100},
            {"idle_timeout", "600s"}}},
          {"http2_protocol_options",
           {{"max_concurrent_streams", 128},
            {"initial_stream_window_size", 262144},
            {"initial_connection_window_size", 1048576}}},
          {"access_log", HttpAccessLog(leg)}};
}

Json Format(const char* text, bool omit_empty) {
  Json format = {{"text_format_source", Json::object({{"inline_string", text}})}};
  if (omit_empty) format["omit_empty_values"] = true;
  return format;
}

// Shared filter state must be hashable: with the plain string type the connection pool of the
// internal listener hands one guest's connection, and so its identity, to the next.
Json Carry(const char* key, const char* format) {
  return {{"object_key", key},
          {"factory_key", "envoy.hashable_string"},
          {"shared_with_upstream", "ONCE"},
          {"skip_if_empty", true},
          {"format_string", Format(format, true)}};
}

Json SetFilterState() {
  const Json guest_address = {{"object_key", "envoy.filters.listener.original_dst.remote_ip"},
                              {"shared_with_upstream", "ONCE"},
                              {"format_string", Format("%DOWNSTREAM_REMOTE_ADDRESS%", false)}};
  return Extension(
      "envoy.filters.http.set_filter_state",
      "envoy.extensions.filters.http.set_filter_state.v3.Config",
      {{"on_request_headers", Json::array({guest_address, Carry(kTargetState, "%REQ(:authority)%"),
                                           Carry(kTunnelState, "%REQ(proxy-authorization)%")})}});
}

Json ConnectRoutes() {
  const Json leg = {{"check_settings", {{"context_extensions", {{"leg", kLegConnect}}}}}};
  const char per_route[] = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
  const Json connect = {
      {"name", "connect"},
      {"match", {{"connect_matcher", Json::object()}}},
      {"route",
       {{"cluster", kBumpCluster},
        {"timeout", "0s"},
        {"idle_timeout", "3600s"},
        {"upgrade_configs",
         Json::array({{{"upgrade_type", "CONNECT"}, {"connect_config", Json::object()}}})}}},
      {"typed_per_filter_config", {{"envoy.filters.http.ext_authz", Typed(per_route, leg)}}}};
  // Anything but CONNECT gets one fixed answer and reaches nothing, so nobody need be asked.
  const Json cleartext = {
      {"name", "cleartext"},
      {"match", Json::object({{"prefix", "/"}})},
      {"direct_response", Json::object({{"status", 403}})},
      {"typed_per_filter_config",
       {{"envoy.filters.http.ext_authz", Typed(per_route, Json::object({{"disabled", true}}))},
        {kJwtConnectFilter, Typed("envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
                                  Json::object({{"disabled", true}}))}}}};
  return {{"name", "connect"},
          {"virtual_hosts", Json::array({{{"name", "all"},
                                          {"domains", Json::array({"*"})},
                                          {"routes", Json::array({connect, cleartext})}}})}};
}

Json AsFilter(Json config) {
  return Extension(
      "envoy.filters.network.http_connection_manager",
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      std::move(config));
}

Json UpgradeTo(const char* type) { return Json::array({Json::object({{"upgrade_type", type}})}); }

}  // namespace

Json ConnectManager() {
  Json config = Manager(kExplicitListener, kLegConnect);
  config["http_protocol_options"] = {{"accept_http_10", true}};
  config["http2_protocol_options"]["allow_connect"] = true;
  config["upgrade_configs"] = UpgradeTo("CONNECT");
  config["early_header_mutation_extensions"] =
      Json::array({EarlyMutation({SetHeader(kLegHeader, kLegConnect)})});
  config["local_reply_config"] = ConnectReplies();
  config["route_config"] = ConnectRoutes();
  config["http_filters"] = Json::array(
      {ConnectExtAuthz(), Discovered(kJwtConnectFilter, kJwtAuthn), SetFilterState(), Router()});
  return AsFilter(std::move(config));
}

Json BumpedManager(const char* leg) {
  std::vector<Json> own = {SetHeader(kLegHeader, leg),
                           SetHeader(kSniHeader, "%REQUESTED_SERVER_NAME%")};
  if (std::string_view(leg) == kLegTunnel) {
    const auto state = [](const char* key) { return fmt::format("%FILTER_STATE({}:PLAIN)%", key); };
    own.push_back(SetHeader(kTunnelHeader, state(kTunnelState)));
    own.push_back(SetHeader(kTargetHeader, state(kTargetState)));
  }
  const bool tunnel = std::string_view(leg) == kLegTunnel;
  Json config = Manager(tunnel ? kBumpListener : kTransparentListener, leg);
  config["normalize_path"] = true;
  config["merge_slashes"] = true;
  config["path_with_escaped_slashes_action"] = "REJECT_REQUEST";
  config["strip_trailing_host_dot"] = true;
  // Not over HTTP/2: an extended CONNECT has no Sec-WebSocket-Key for an HTTP/1.1 origin. Clients
  // that are not offered it open an HTTP/1.1 connection.
  config["http2_protocol_options"]["allow_connect"] = false;
  config["upgrade_configs"] = UpgradeTo("websocket");
  config["early_header_mutation_extensions"] = Json::array({EarlyMutation(own)});
  config["local_reply_config"] = BumpedReplies();
  config["rds"] = {{"route_config_name", kRouteConfig}, {"config_source", FromAds()}};
  // In this order and no other: CheckChain rejects any other one.
  config["http_filters"] = Json::array(
      {Discovered(kJwtBumpFilter, kJwtAuthn), BumpedExtAuthz(),
       Discovered(kRevokedFilter, "envoy.extensions.filters.http.rbac.v3.RBAC"), BaseRbac(),
       Discovered(kRateLimitFilter,
                  "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"),
       Router()});
  return AsFilter(std::move(config));
}

}  // namespace exeat::envoy
