#include "envoy/listeners.h"

#include <utility>

#include "envoy/access_logs.h"
#include "envoy/carried_state.h"
#include "envoy/connection_manager.h"
#include "envoy/ext_authz.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

constexpr char kListener[] = "envoy.config.listener.v3.Listener";
constexpr int kBufferBytes = 65536;
constexpr char kHelloTimeout[] = "3s";
constexpr char kChainName[] = "bump";
// A name that no guest can present: an SNI holds no space. Envoy refuses an empty map.
constexpr char kNoServerName[] = "no server name";

Json Address(const policy::SocketAddress& address) {
  return {{"socket_address", {{"address", address.ip.ToString()}, {"port_value", address.port}}}};
}

Json TlsInspector(bool close_what_is_not_tls) {
  return Extension(
      "envoy.filters.listener.tls_inspector",
      "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
      Json::object({{"close_connection_on_client_hello_parsing_errors", close_what_is_not_tls}}));
}

// The allow-list before TLS. Names that are not here are closed after their ClientHello.
Json ServerNames(const policy::Policy& policy) {
  const Json action = {{"action",
                        {{"name", kChainName},
                         {"typed_config", Typed("google.protobuf.StringValue",
                                                Json::object({{"value", kChainName}}))}}}};
  Json map = Json::object({{kNoServerName, action}});
  if (policy.posture == policy::Posture::kBump && !policy.destinations.empty()) {
    map.clear();
    for (const policy::Destination& destination : policy.destinations) {
      map[destination.host] = action;
    }
  }
  return {
      {"matcher_tree",
       {{"input",
         Extension("sni", "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput")},
        {"exact_match_map", {{"map", std::move(map)}}}}}};
}

// Leaves come on demand over ADS, named by the SNI; the only bound on a hung mint is the connect
// timeout of the chain.
Json BumpTls() {
  Json source = FromAds();
  source["initial_fetch_timeout"] = "2s";
  const Json by_sni = Extension("envoy.tls.certificate_mappers.sni",
                                "envoy.extensions.transport_sockets.tls.cert_mappers.sni.v3.SNI",
                                Json::object({{"default_value", "_nosni"}}));
  const Json on_demand =
      Extension("envoy.tls.certificate_selectors.on_demand_secret",
                "envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.Config",
                {{"config_source", std::move(source)}, {"certificate_mapper", by_sni}});
  return Extension("envoy.transport_sockets.tls",
                   "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                   {{"disable_stateless_session_resumption", true},
                    {"disable_stateful_session_resumption", true},
                    {"common_tls_context",
                     {{"alpn_protocols", Json::array({"h2", "http/1.1"})},
                      {"tls_params",
                       {{"tls_minimum_protocol_version", "TLSv1_2"},
                        {"tls_maximum_protocol_version", "TLSv1_3"}}},
                      {"custom_tls_certificate_selector", on_demand}}}});
}

// A guest that reads nothing has no other bound once the inner connection is gone: a TCP proxy
// flushes for as long as the peer lives.
Json GiveUpOnStuckGuests() {
  return Json::array({{{"description", "TCP_USER_TIMEOUT"},
                       {"level", 6},
                       {"name", 18},
                       {"int_value", 300'000},
                       {"state", "STATE_LISTENING"}}});
}

Json SetFilterState() {
  return Extension(
      "envoy.filters.network.set_filter_state",
      "envoy.extensions.filters.network.set_filter_state.v3.Config",
      Json::object({{"on_new_connection",
                     Json::array({CarryGuestAddress(), Carry(kLegState, kLegTransparent)})}}));
}

// Dials inward with the first bytes, which come once Check has said yes.
Json ToBump() {
  return Extension("envoy.filters.network.tcp_proxy",
                   "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                   {{"stat_prefix", kTransparentListener},
                    {"cluster", kBumpCluster},
                    {"upstream_connect_mode", "ON_DOWNSTREAM_DATA"},
                    {"max_early_data_bytes", kBufferBytes},
                    {"idle_timeout", "3600s"}});
}

}  // namespace

Json ExplicitListener(const policy::SocketAddress& address) {
  const Json chain = {{"name", kExplicitListener}, {"filters", Json::array({ConnectManager()})}};
  return Typed(kListener, {{"name", kExplicitListener},
                           {"address", Address(address)},
                           {"per_connection_buffer_limit_bytes", kBufferBytes},
                           {"filter_chains", Json::array({chain})}});
}

Json TransparentListener(const policy::SocketAddress& address) {
  const Json chain = {{"name", kTransparentListener},
                      {"filters", Json::array({SetFilterState(), ConnectionExtAuthz(), ToBump()})}};
  return Typed(kListener, {{"name", kTransparentListener},
                           {"address", Address(address)},
                           {"socket_options", GiveUpOnStuckGuests()},
                           {"listener_filters_timeout", kHelloTimeout},
                           {"continue_on_listener_filters_timeout", false},
                           // What is not TLS has no server name, which Check refuses and records.
                           {"listener_filters", Json::array({TlsInspector(false)})},
                           {"per_connection_buffer_limit_bytes", kBufferBytes},
                           {"filter_chains", Json::array({chain})}});
}

Json BumpListener(const policy::Policy& policy) {
  const Json chain = {{"name", kChainName},
                      {"transport_socket_connect_timeout", "5s"},
                      {"transport_socket", BumpTls()},
                      {"filters", Json::array({BumpedManager()})}};
  // Restores the guest's address, which Check needs to find the socket that a revoke must cut.
  const Json guest_address =
      Extension("envoy.filters.listener.original_dst",
                "envoy.extensions.filters.listener.original_dst.v3.OriginalDst");
  return Typed(kListener, {{"name", kBumpListener},
                           {"internal_listener", Json::object()},
                           {"access_log", ConnectionAccessLog()},
                           {"per_connection_buffer_limit_bytes", kBufferBytes},
                           {"listener_filters_timeout", kHelloTimeout},
                           {"continue_on_listener_filters_timeout", false},
                           {"listener_filters", Json::array({guest_address, TlsInspector(true)})},
                           {"filter_chain_matcher", ServerNames(policy)},
                           {"filter_chains", Json::array({chain})}});
}

}  // namespace exeat::envoy
