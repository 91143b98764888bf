#include "envoy/leg_guard.h"

#include <array>
#include <string>

#include "envoy/guard_reading.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

constexpr char kTlsInspector[] = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
constexpr char kTcpProxy[] = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
constexpr char kNetworkState[] = "envoy.extensions.filters.network.set_filter_state.v3.Config";
constexpr char kHttpState[] = "envoy.extensions.filters.http.set_filter_state.v3.Config";
constexpr char kRouter[] = "envoy.extensions.filters.http.router.v3.Router";
constexpr char kGuestAddress[] = "envoy.filters.listener.original_dst.remote_ip";

struct OwnHeader {
  const char* name;
  const char* value;
};
constexpr std::array<OwnHeader, 5> kOwnHeaders = {{
    {kLegHeader, "%FILTER_STATE(exeat.leg:PLAIN)%"},
    {kTunnelHeader, "%FILTER_STATE(exeat.tunnel:PLAIN)%"},
    {kTargetHeader, "%FILTER_STATE(exeat.target:PLAIN)%"},
    {kVettedHeader, "%FILTER_STATE(exeat.vetted:PLAIN)%"},
    {kSniHeader, "%REQUESTED_SERVER_NAME%"},
}};

// The format of the only entry with this key; null when there is none or more than one.
const Json& Carried(const Json& entries, std::string_view key) {
  static const Json& missing = *new Json();
  const Json* found = &missing;
  for (const Json& entry : entries) {
    if (Member(entry, "object_key") != key) continue;
    if (found != &missing) return missing;
    found = &At(entry, {"format_string", "text_format_source", "inline_string"});
  }
  return *found;
}

bool CarriesAddress(const Json& entries) {
  return Carried(entries, kGuestAddress) == "%DOWNSTREAM_REMOTE_ADDRESS%";
}

// Two guests whose shared objects are not part of the pool's key share a connection, and so an
// identity. The address object is hashable by itself.
base::Status CheckSharing(const Resource& resource) {
  bool safe = true;
  Visit(resource.body, [&](const Json& node) {
    const Json& shared = Member(node, "shared_with_upstream");
    if (shared.is_null() || shared == "NONE") return;
    safe &= shared == "ONCE" && (Member(node, "object_key") == kGuestAddress ||
                                 Member(node, "factory_key") == "envoy.hashable_string");
  });
  if (safe) return absl::OkStatus();
  return Refuse(resource.name, "shared filter state is not hashable");
}

// The server name must be read before the question, and nothing may go inward before its answer.
base::Status CheckConnectionIsAsked(const Resource& listener, const Json& ext_authz,
                                    const Json& proxy) {
  const Json& first = Member(listener.body, "listener_filters");
  if (first.size() != 1 || !HasType(Member(first.front(), "typed_config"), kTlsInspector) ||
      !Member(first.front(), "filter_disabled").is_null() ||
      IsTrue(Member(listener.body, "continue_on_listener_filters_timeout"))) {
    return Refuse(listener.name, "the server name is not read before Check is asked");
  }
  if (MayPassUnasked(ext_authz, kNetworkExtAuthzMessage) ||
      At(ext_authz, {"grpc_service", "envoy_grpc", "cluster_name"}) != kControlCluster ||
      Member(proxy, "upstream_connect_mode") != "ON_DOWNSTREAM_DATA") {
    return Refuse(listener.name, "a connection goes inward without Check's answer");
  }
  return absl::OkStatus();
}

base::Status CheckTransparent(const Resource& listener) {
  const Json& chains = Member(listener.body, "filter_chains");
  const Json& filters = chains.size() == 1 ? Member(chains.front(), "filters") : Json();
  if (filters.size() != 3 || !Member(listener.body, "default_filter_chain").is_null()) {
    return Refuse(listener.name,
                  "holds more than filter state, ext_authz and a TCP proxy, or less");
  }
  const Json& state = Member(filters[0], "typed_config");
  const Json& entries = Member(state, "on_new_connection");
  if (!HasType(state, kNetworkState) || !CarriesAddress(entries) ||
      Carried(entries, kLegState) != kLegTransparent || entries.size() != 2) {
    return Refuse(listener.name, "does not say its leg and the guest's address, or more than that");
  }
  const Json& proxy = Member(filters[2], "typed_config");
  if (!HasType(proxy, kTcpProxy) || Member(proxy, "cluster") != kBumpCluster ||
      !Member(proxy, "weighted_clusters").is_null()) {
    return Refuse(listener.name, "leads elsewhere than to the bumped chain");
  }
  return CheckConnectionIsAsked(listener, Member(filters[1], "typed_config"), proxy);
}

base::Status CheckConnectFilters(const Resource& listener, const Json& filters) {
  const bool ordered = filters.size() == 4 &&
                       At(filters[1], {"config_discovery", "type_urls"}) ==
                           Json::array({TypeUrl(kJwtAuthnMessage)}) &&
                       At(filters[1], {"config_discovery", "default_config"}).is_null() &&
                       HasType(Member(filters[2], "typed_config"), kHttpState) &&
                       HasType(Member(filters[3], "typed_config"), kRouter);
  if (!ordered || MayPassUnasked(Member(filters[0], "typed_config"))) {
    return Refuse(listener.name, "a token would be carried inward before it is verified");
  }
  for (const Json& filter : filters) {
    if (IsTrue(Member(filter, "disabled")) || IsTrue(Member(filter, "is_optional"))) {
      return Refuse(listener.name, "a filter before the tunnel is switched off");
    }
  }
  const Json& entries = At(filters[2], {"typed_config", "on_request_headers"});
  if (!CarriesAddress(entries) || Carried(entries, kLegState) != kLegTunnel ||
      Carried(entries, kTargetState) != "%REQ(:authority)%" ||
      Carried(entries, kTunnelState) != "%REQ(proxy-authorization)%") {
    return Refuse(listener.name, "does not carry leg, target, token and address inward");
  }
  if (Carried(entries, kVettedState) != "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:vetted)%") {
    return Refuse(listener.name, "vets a tunnel by more than Check's answer");
  }
  return absl::OkStatus();
}

// A route into the tunnel may tell ext_authz its leg, and nothing else.
base::Status CheckConnectRoutes(const Resource& listener, const Json& manager) {
  for (const Json& host : At(manager, {"route_config", "virtual_hosts"})) {
    if (!Member(host, "typed_per_filter_config").is_null()) {
      return Refuse(listener.name, "a virtual host overrides a filter before the tunnel");
    }
    for (const Json& route : Member(host, "routes")) {
      if (!Names(Member(route, "route"), kBumpCluster)) continue;
      for (const auto& [filter, config] : Member(route, "typed_per_filter_config").items()) {
        if (filter != kExtAuthzFilter || Member(config, "check_settings").is_null() ||
            !Member(config, "disabled").is_null()) {
          return Refuse(listener.name, "the route into the tunnel overrides " + filter);
        }
      }
    }
  }
  return absl::OkStatus();
}

base::Status CheckExplicit(const Resource& listener) {
  const Json& chains = Member(listener.body, "filter_chains");
  const Json& filters = chains.size() == 1 ? Member(chains.front(), "filters") : Json();
  if (filters.size() != 1 || !Member(listener.body, "default_filter_chain").is_null() ||
      !HasType(Member(filters.front(), "typed_config"), kManagerMessage)) {
    return Refuse(listener.name, "holds more than one connection manager");
  }
  const Json& manager = Member(filters.front(), "typed_config");
  for (const Json& upgrade : Member(manager, "upgrade_configs")) {
    if (!Member(upgrade, "filters").empty()) {
      return Refuse(listener.name, "an upgrade has a chain of its own");
    }
  }
  RETURN_IF_ERROR(CheckConnectFilters(listener, Member(manager, "http_filters")));
  return CheckConnectRoutes(listener, manager);
}

bool IsAppended(const Json& mutations, const OwnHeader& own) {
  int appended = 0;
  bool right = true;
  for (const Json& mutation : mutations) {
    const Json& append = Member(mutation, "append");
    if (At(append, {"header", "key"}) != own.name) continue;
    ++appended;
    right &= At(append, {"header", "value"}) == own.value &&
             Member(append, "append_action") == "OVERWRITE_IF_EXISTS_OR_ADD";
  }
  return appended == 1 && right;
}

}  // namespace

base::Status CheckInside(const Resource& listener, const Json& manager) {
  if (!Member(listener.body, "internal_listener").is_object() ||
      !Member(listener.body, "address").is_null() ||
      !Member(listener.body, "additional_addresses").is_null()) {
    return Refuse(listener.name, "the chain can be dialled from outside");
  }
  const Json& extensions = Member(manager, "early_header_mutation_extensions");
  const Json& mutations =
      extensions.size() == 1 ? At(extensions.front(), {"typed_config", "mutations"}) : Json();
  for (const OwnHeader& own : kOwnHeaders) {
    if (!IsAppended(mutations, own)) {
      return Refuse(listener.name, std::string(own.name) + " is not what was carried inward");
    }
  }
  return absl::OkStatus();
}

base::Status CheckLegs(const Resource& resource) {
  RETURN_IF_ERROR(CheckSharing(resource));
  bool internal = false;
  Visit(resource.body,
        [&](const Json& node) { internal |= !Member(node, "envoy_internal_address").is_null(); });
  if (internal) return Refuse(resource.name, "names an internal address");
  const bool listens = resource.type_url == kListenerType;
  if (listens && resource.name == kTransparentListener) return CheckTransparent(resource);
  if (listens && resource.name == kExplicitListener) return CheckExplicit(resource);
  if (Names(resource.body, kBumpCluster)) {
    return Refuse(resource.name, "only the two legs may reach the bumped chain");
  }
  return absl::OkStatus();
}

}  // namespace exeat::envoy
