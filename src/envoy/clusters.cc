#include "envoy/clusters.h"

#include <utility>
#include <vector>

#include "envoy/credential_filters.h"
#include "envoy/hygiene.h"
#include "envoy/names.h"
#include "envoy/rbac.h"
#include "envoy/routes.h"

namespace exeat::envoy {
namespace {

Json AdsWithin(const char* timeout) {
  Json source = FromAds();
  source["initial_fetch_timeout"] = timeout;
  return source;
}

// A connection keeps the certificate that it was opened with.
const char* LifeOf(const policy::Credential* credential) {
  return ClientCertificates(credential).empty() ? "600s" : "10s";
}

Json HttpOptions(const policy::Policy& policy, const policy::Credential* credential,
                 Speaks speaks) {
  Json filters = Json::array({AddressRbac(policy.resolver.allow_private)});
  const auto add = [&](std::vector<Json> more) {
    for (Json& filter : more) filters.push_back(std::move(filter));
  };
  if (credential != nullptr) add(FiltersBeforeHygiene(*credential));
  filters.push_back(HygieneFilter(policy));
  if (credential != nullptr) add(FiltersAfterHygiene(*credential));
  filters.push_back(Extension("envoy.filters.http.upstream_codec",
                              "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"));
  Json options = {{"common_http_protocol_options",
                   {{"idle_timeout", "60s"}, {"max_connection_duration", LifeOf(credential)}}},
                  {"http_filters", std::move(filters)}};
  if (speaks == Speaks::kHttp1Only) {
    options["explicit_http_config"] = {{"http_protocol_options", Json::object()}};
  } else {
    options["auto_config"] = {
        {"http_protocol_options", Json::object()},
        {"http2_protocol_options",
         {{"initial_stream_window_size", 1048576}, {"initial_connection_window_size", 4194304}}}};
  }
  return {{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
           Typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", std::move(options))}};
}

// The trust bundle travels once, as a secret; the name to be proven is each cluster's own.
Json Tls(const std::string& host, const policy::Credential* credential, Speaks speaks) {
  const Json san = {{"san_type", "DNS"}, {"matcher", Exact(host)}};
  Json common = {
      {"tls_params",
       {{"tls_minimum_protocol_version", "TLSv1_2"}, {"tls_maximum_protocol_version", "TLSv1_3"}}},
      {"combined_validation_context",
       {{"default_validation_context", {{"match_typed_subject_alt_names", Json::array({san})}}},
        {"validation_context_sds_secret_config",
         {{"name", kUpstreamTrustSecret}, {"sds_config", AdsWithin("2s")}}}}}};
  Json presented = ClientCertificates(credential);
  if (!presented.empty()) common["tls_certificate_sds_secret_configs"] = std::move(presented);
  if (speaks == Speaks::kHttp1Only) common["alpn_protocols"] = Json::array({"http/1.1"});
  return Extension("envoy.transport_sockets.tls",
                   "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                   {{"sni", host},
                    {"auto_sni_san_validation", true},
                    {"max_session_keys", 0},
                    {"common_tls_context", std::move(common)}});
}

}  // namespace

Json ClusterCommon(const policy::Policy& policy, const policy::Credential* credential,
                   Speaks speaks) {
  const Json threshold = {{"max_connections", 8192},
                          {"max_pending_requests", 8192},
                          {"max_requests", 16384},
                          {"max_retries", 64}};
  return Typed("envoy.config.cluster.v3.Cluster",
               {{"type", "EDS"},
                {"connect_timeout", "5s"},
                {"per_connection_buffer_limit_bytes", 262144},
                {"circuit_breakers", {{"thresholds", Json::array({threshold})}}},
                {"typed_extension_protocol_options", HttpOptions(policy, credential, speaks)}});
}

Json ClusterOwn(const policy::Destination& destination, std::uint16_t port,
                const policy::Credential* credential, Speaks speaks) {
  const std::string name = speaks == Speaks::kAny ? ClusterName(destination, port)
                                                  : UpgradeClusterName(destination, port);
  return Typed(
      "envoy.config.cluster.v3.Cluster",
      {{"name", name},
       {"eds_cluster_config",
        {{"service_name", ClusterName(destination, port)}, {"eds_config", AdsWithin("2s")}}},
       {"transport_socket", Tls(destination.host, credential, speaks)}});
}

}  // namespace exeat::envoy
