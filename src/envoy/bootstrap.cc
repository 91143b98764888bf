#include "envoy/bootstrap.h"

#include <utility>

#include "envoy/json.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

Json LoadAssignment(const char* cluster, Json address) {
  const Json endpoint = {{"endpoint", {{"address", std::move(address)}}}};
  const Json locality = {{"lb_endpoints", Json::array({endpoint})}};
  return {{"cluster_name", cluster}, {"endpoints", Json::array({locality})}};
}

// No keepalive: a gRPC server answers frequent pings with GOAWAY, and a local socket needs none.
Json ControlCluster(const std::string& socket) {
  const Json threshold = {
      {"max_connections", 65536}, {"max_pending_requests", 65536}, {"max_requests", 65536}};
  return {{"name", kControlCluster},
          {"type", "STATIC"},
          {"connect_timeout", "0.250s"},
          {"circuit_breakers", {{"thresholds", Json::array({threshold})}}},
          {"typed_extension_protocol_options",
           {{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
             Typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                   {{"explicit_http_config", {{"http2_protocol_options", Json::object()}}}})}}},
          {"load_assignment",
           LoadAssignment(kControlCluster, {{"pipe", Json::object({{"path", socket}})}})}};
}

Json BumpCluster() {
  return {{"name", kBumpCluster},
          {"type", "STATIC"},
          {"connect_timeout", "1s"},
          {"circuit_breakers",
           {{"thresholds", Json::array({{{"max_connections", 65536},
                                         {"max_pending_requests", 65536},
                                         {"max_requests", 65536}}})}}},
          {"transport_socket",
           Extension("envoy.transport_sockets.internal_upstream",
                     "envoy.extensions.transport_sockets.internal_upstream.v3."
                     "InternalUpstreamTransport",
                     {{"transport_socket",
                       Extension("envoy.transport_sockets.raw_buffer",
                                 "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")}})},
          {"load_assignment",
           LoadAssignment(kBumpCluster, {{"envoy_internal_address",
                                          {{"server_listener_name", kBumpListener}}}})}};
}

Json AdsConfig() {
  Json control = ControlGrpc();
  control["envoy_grpc"]["retry_policy"] = {
      {"retry_back_off", {{"base_interval", "0.100s"}, {"max_interval", "1s"}}}};
  return {{"api_type", "DELTA_GRPC"},
          {"transport_api_version", "V3"},
          {"set_node_on_first_message_only", true},
          {"grpc_services", Json::array({control})}};
}

Json Overload(std::uint32_t max_connections) {
  const Json monitor = Extension(
      "envoy.resource_monitors.global_downstream_max_connections",
      "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
      Json::object({{"max_active_downstream_connections", max_connections}}));
  return {{"resource_monitors", Json::array({monitor})}};
}

// With this feature Envoy resets a guest, and drops what is queued for it, when an internal
// connection ends as it should: docs/envoy-notes.md.
Json Runtime() {
  const Json layer = {
      {"name", "exeat"},
      {"static_layer",
       Json::object({{"envoy.reloadable_features.enable_send_rst_on_user_space_socket", false}})}};
  return {{"layers", Json::array({layer})}};
}

}  // namespace

std::string BuildBootstrap(const BootstrapInputs& inputs) {
  const Json internal_listener =
      Extension("envoy.bootstrap.internal_listener",
                "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
                Json::object({{"buffer_size_kb", 64}}));
  const Json bootstrap = {
      {"node", {{"id", inputs.node_id}, {"cluster", inputs.deployment}}},
      {"admin",
       {{"address", {{"pipe", {{"path", inputs.admin_socket}, {"mode", 0600}}}}},
        {"ignore_global_conn_limit", true}}},
      {"bootstrap_extensions", Json::array({internal_listener})},
      {"dynamic_resources",
       {{"ads_config", AdsConfig()}, {"lds_config", FromAds()}, {"cds_config", FromAds()}}},
      // Some 150 counters a destination exist only once it is used.
      {"deferred_stat_options", Json::object({{"enable_deferred_creation_stats", true}})},
      {"layered_runtime", Runtime()},
      {"overload_manager", Overload(inputs.max_connections)},
      {"static_resources",
       {{"clusters", Json::array({ControlCluster(inputs.control_socket), BumpCluster()})}}}};
  return bootstrap.dump(2);
}

}  // namespace exeat::envoy
