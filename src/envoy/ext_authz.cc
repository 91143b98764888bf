#include "envoy/ext_authz.h"

#include "envoy/asked_once.h"
#include "envoy/names.h"
#include "fmt/format.h"

namespace exeat::envoy {
namespace {

constexpr char kMessage[] = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

Json Patterns(std::initializer_list<const char*> names) {
  Json patterns = Json::array();
  for (const char* name : names) patterns.push_back(Exact(name));
  return {{"patterns", std::move(patterns)}};
}

// All that Check may write; anything else is an error, not ignored.
Json MayWrite(std::string_view headers) {
  return {{"disallow_all", true},
          {"allow_expression", Json::object({{"regex", fmt::format("^({})$", headers)}})},
          {"disallow_is_error", true}};
}

Json Base() {
  return {{"transport_api_version", "V3"},
          {"grpc_service", ControlGrpc(fmt::format("{}s", kAuthzTimeout.count()))},
          {"failure_mode_allow", false},
          {"status_on_error", Json::object({{"code", "ServiceUnavailable"}})},
          {"validate_mutations", true},
          // Raw headers keep duplicates apart; the map form would join them with a comma.
          {"encode_raw_headers", true},
          {"clear_route_cache", false},
          {"charge_cluster_response_stats", false}};
}

}  // namespace

Json ConnectExtAuthz() {
  Json config = Base();
  config["allowed_headers"] =
      Patterns({":authority", ":method", "x-request-id", "proxy-authorization", kLegHeader});
  config["decoder_header_mutation_rules"] =
      MayWrite(fmt::format("proxy-authorization|{}", kStreamDurationHeader));
  return Extension(kExtAuthzFilter, kMessage, std::move(config));
}

Json BumpedExtAuthz() {
  Json config = Base();
  config["include_tls_session"] = true;
  config["metadata_context_namespaces"] = Json::array({kJwtNamespace});
  config["allowed_headers"] =
      Patterns({":authority", ":method", ":path", "x-request-id", "authorization", "x-api-key",
                kSessionHeader, kTunnelHeader, kTargetHeader, kLegHeader});
  config["decoder_header_mutation_rules"] = MayWrite(kStreamDurationHeader);
  return AskedUnlessVetted(Extension(kExtAuthzFilter, kMessage, std::move(config)));
}

// The server name that tls_inspector read arrives as destination.service, which is always UTF-8;
// tls_session.sni is not, and then nobody could read the question.
Json ConnectionExtAuthz() {
  return Extension("envoy.filters.network.ext_authz",
                   "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
                   {{"stat_prefix", kTransparentListener},
                    {"transport_api_version", "V3"},
                    {"grpc_service", ControlGrpc("1s")},
                    {"failure_mode_allow", false}});
}

}  // namespace exeat::envoy
