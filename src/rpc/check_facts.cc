#include "rpc/check_facts.h"

#include <algorithm>
#include <array>

#include "envoy/names.h"
#include "policy/ip_address.h"

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::AttributeContext;

// The credential places of one request and how often each occurs.
struct Places {
  int proxy_authorization = 0;
  int session_header = 0;
  int authorization = 0;
  int api_key = 0;
};

authz::Leg LegOf(std::string_view mark) {
  if (mark == envoy::kLegTunnel) return authz::Leg::kTunnel;
  if (mark == envoy::kLegTransparent) return authz::Leg::kTransparent;
  return authz::Leg::kConnect;
}

void ReadHeader(std::string_view key, std::string_view value, CheckFacts& out, Places& places) {
  if (key == "proxy-authorization") {
    out.facts.proxy_authorization = value;
    ++places.proxy_authorization;
  } else if (key == envoy::kSessionHeader) {
    out.facts.session_header = value;
    ++places.session_header;
  } else if (key == "authorization") {
    out.facts.authorization = value;
    ++places.authorization;
  } else if (key == "x-api-key") {
    out.facts.api_key = value;
    ++places.api_key;
  } else if (key == envoy::kTunnelHeader) {
    out.facts.tunnel_token = value;
  } else if (key == envoy::kTargetHeader) {
    out.facts.tunnel_target = value;
  } else if (key == envoy::kLegHeader) {
    out.facts.leg = LegOf(value);
  } else if (key == "x-request-id") {
    out.request_id = value;
  }
}

std::string_view VerifiedSid(const AttributeContext& attributes) {
  const auto& metadata = attributes.metadata_context().filter_metadata();
  const auto claims = metadata.find(envoy::kJwtNamespace);
  if (claims == metadata.end()) return {};
  const auto session = claims->second.fields().find(envoy::kSessionKey);
  if (session == claims->second.fields().end()) return {};
  const auto& fields = session->second.struct_value().fields();
  const auto sid = fields.find("sid");
  return sid == fields.end() ? std::string_view() : sid->second.string_value();
}

constexpr std::array<std::uint8_t, 12> kMappedV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<base::SocketEnd> EndOf(const ::envoy::config::core::v3::Address& address) {
  const auto ip = policy::IpAddress::Parse(address.socket_address().address());
  const std::uint32_t port = address.socket_address().port_value();
  if (!ip || port == 0 || port > 65535) return std::nullopt;
  base::SocketEnd end{ip->bytes(), static_cast<std::uint16_t>(port), ip->is_v4()};
  if (!end.is_v4 && std::equal(kMappedV4.begin(), kMappedV4.end(), end.ip.begin())) {
    end.ip = {end.ip[12], end.ip[13], end.ip[14], end.ip[15]};
    end.is_v4 = true;
  }
  return end;
}

}  // namespace

std::string PeerOf(const ::envoy::service::auth::v3::CheckRequest& request) {
  const auto& socket = request.attributes().source().address().socket_address();
  std::string peer = socket.address();
  peer += ':';
  peer += std::to_string(socket.port_value());
  return peer;
}

std::optional<Connection> ConnectionOf(const ::envoy::service::auth::v3::CheckRequest& request) {
  const auto local = EndOf(request.attributes().destination().address());
  const auto remote = EndOf(request.attributes().source().address());
  if (!local || !remote) return std::nullopt;
  return Connection{*local, *remote};
}

CheckFacts FactsOf(const ::envoy::service::auth::v3::CheckRequest& request, base::UnixSeconds now) {
  CheckFacts out;
  const AttributeContext& attributes = request.attributes();
  const auto& http = attributes.request().http();
  Places places;
  for (const auto& header : http.header_map().headers()) {
    const std::string_view value =
        header.raw_value().empty() ? std::string_view(header.value()) : header.raw_value();
    ReadHeader(header.key(), value, out, places);
  }
  const bool at_connect = out.facts.leg == authz::Leg::kConnect;
  out.facts.method = http.method();
  out.facts.authority = http.host();
  out.facts.path = at_connect ? std::string_view() : std::string_view(http.path());
  out.facts.sni = attributes.tls_session().sni();
  const bool keys_repeat = places.authorization > 1 || places.api_key > 1;
  const bool others_repeat = places.proxy_authorization > 1 || places.session_header > 1;
  out.facts.duplicate_credentials = keys_repeat || others_repeat;
  out.facts.only_key_places_repeat = keys_repeat && !others_repeat;
  out.facts.metadata_sid = VerifiedSid(attributes);
  out.facts.now = now;
  out.source = PeerOf(request);
  return out;
}

}  // namespace exeat::rpc
