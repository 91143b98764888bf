#include "envoy/connection_manager.h"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "envoy/access_logs.h"
#include "envoy/carried_state.h"
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

Json Manager(const char* name, const std::string& leg) {
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
          {"delayed_close_timeout", "5s"},
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

Json SetFilterState() {
  return Extension("envoy.filters.http.set_filter_state",
                   "envoy.extensions.filters.http.set_filter_state.v3.Config",
                   Json::object({{"on_request_headers",
                                  Json::array({CarryGuestAddress(), Carry(kLegState, kLegTunnel),
                                               Carry(kTargetState, "%REQ(:authority)%"),
                                               Carry(kTunnelState, "%REQ(proxy-authorization)%"),
                                               CarryFromCheck(kVettedState, kVettedKey),
                                               CarryFromCheck(kVettedByState, kVettedByKey)})}}));
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
      {"typed_per_filter_config", {{kExtAuthzFilter, Typed(per_route, leg)}}}};
  // Anything but CONNECT gets one fixed answer and reaches nothing, so nobody need be asked.
  const Json cleartext = {
      {"name", "cleartext"},
      {"match", Json::object({{"prefix", "/"}})},
      {"direct_response", Json::object({{"status", 403}})},
      {"typed_per_filter_config",
       {{kExtAuthzFilter, Typed(per_route, Json::object({{"disabled", true}}))},
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

Json UpgradeTo(std::initializer_list<const char*> types) {
  Json upgrades = Json::array();
  for (const char* type : types) upgrades.push_back(Json::object({{"upgrade_type", type}}));
  return upgrades;
}

}  // namespace

Json ConnectManager() {
  Json config = Manager(kExplicitListener, kLegConnect);
  config["http_protocol_options"] = {{"accept_http_10", true}};
  config["http2_protocol_options"]["allow_connect"] = true;
  config["upgrade_configs"] = UpgradeTo({"CONNECT"});
  config["early_header_mutation_extensions"] =
      Json::array({EarlyMutation({SetHeader(kLegHeader, kLegConnect)})});
  config["local_reply_config"] = ConnectReplies();
  config["route_config"] = ConnectRoutes();
  config["http_filters"] = Json::array(
      {ConnectExtAuthz(), Discovered(kJwtConnectFilter, kJwtAuthn), SetFilterState(), Router()});
  return AsFilter(std::move(config));
}

Json BumpedManager() {
  const std::vector<Json> own = {SetHeader(kLegHeader, CarriedFormat(kLegState)),
                                 SetHeader(kTunnelHeader, CarriedFormat(kTunnelState)),
                                 SetHeader(kTargetHeader, CarriedFormat(kTargetState)),
                                 SetHeader(kVettedHeader, CarriedFormat(kVettedState)),
                                 SetHeader(kSniHeader, "%REQUESTED_SERVER_NAME%")};
  Json config = Manager(kBumpListener, CarriedFormat(kLegState));
  config["normalize_path"] = true;
  config["merge_slashes"] = true;
  config["path_with_escaped_slashes_action"] = "REJECT_REQUEST";
  config["strip_trailing_host_dot"] = true;
  // Not over HTTP/2: an extended CONNECT has no Sec-WebSocket-Key for an HTTP/1.1 origin. Clients
  // that are not offered it open an HTTP/1.1 connection.
  config["http2_protocol_options"]["allow_connect"] = false;
  // CONNECT is let into the chain only to be refused by it: refused as an upgrade, it would be
  // neither judged nor recorded, and Envoy would end an HTTP/2 connection before it answers.
  config["upgrade_configs"] = UpgradeTo({"websocket", "CONNECT"});
  config["early_header_mutation_extensions"] = Json::array({EarlyMutation(own)});
  config["local_reply_config"] = BumpedReplies();
  config["rds"] = {{"route_config_name", kRouteConfig}, {"config_source", FromAds()}};
  // In this order and no other: CheckChain rejects any other one.
  config["http_filters"] = Json::array(
      {Cleaner(), Discovered(kJwtBumpFilter, kJwtAuthn), BumpedExtAuthz(),
       Discovered(kRevokedFilter, "envoy.extensions.filters.http.rbac.v3.RBAC"), BaseRbac(),
       Discovered(kRateLimitFilter,
                  "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"),
       Router()});
  return AsFilter(std::move(config));
}

}  // namespace exeat::envoy
