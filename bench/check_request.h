// What Envoy sends to ext_authz: the headers it may send, and the verified claims.
//
// Units:    ports are the guest's and the listener's as Envoy sees them.
// Source:   docs/benchmarks.md
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "bench/check_service.h"
#include "envoy/names.h"
#include "fmt/format.h"

namespace exeat::bench {

// One request of a guest, and the connection that carries it.
struct Asked {
  std::string token, sid, issuer, host;
  std::uint16_t host_port = 443;
  std::string guest_address;
  std::uint16_t guest_port = 0;
  std::uint16_t listener_port = 0;  // on 127.0.0.1
  std::string request_id;
};

inline void AddHeader(CheckRequest& request, const std::string& key, const std::string& value) {
  auto* header =
      request.mutable_attributes()->mutable_request()->mutable_http()->mutable_header_map();
  auto* added = header->add_headers();
  added->set_key(key);
  added->set_raw_value(value);
}

inline void SetHeader(CheckRequest& request, const std::string& key, const std::string& value) {
  auto* http = request.mutable_attributes()->mutable_request()->mutable_http();
  for (auto& header : *http->mutable_header_map()->mutable_headers()) {
    if (header.key() == key) header.set_raw_value(value);
  }
}

inline CheckRequest RequestOf(const Asked& asked, const std::string& method,
                              const std::string& authority, const std::string& path) {
  CheckRequest request;
  auto* attributes = request.mutable_attributes();
  auto* source = attributes->mutable_source()->mutable_address()->mutable_socket_address();
  source->set_address(asked.guest_address);
  source->set_port_value(asked.guest_port);
  auto* target = attributes->mutable_destination()->mutable_address()->mutable_socket_address();
  target->set_address("127.0.0.1");
  target->set_port_value(asked.listener_port);
  attributes->mutable_request()->mutable_time()->set_seconds(base::SystemClock().UnixNow());
  auto* http = attributes->mutable_request()->mutable_http();
  http->set_id("7338741629547831209");
  http->set_method(method);
  http->set_host(authority);
  http->set_path(path);
  http->set_scheme("https");
  http->set_protocol("HTTP/1.1");
  AddHeader(request, ":authority", authority);
  AddHeader(request, ":path", path);
  AddHeader(request, ":method", method);
  AddHeader(request, "x-request-id", asked.request_id);
  return request;
}

inline CheckRequest ConnectRequest(const Asked& asked) {
  CheckRequest request =
      RequestOf(asked, "CONNECT", fmt::format("{}:{}", asked.host, asked.host_port), "");
  AddHeader(request, "proxy-authorization", "Bearer " + asked.token);
  return request;
}

inline CheckRequest TunnelRequest(const Asked& asked) {
  const std::string target = fmt::format("{}:{}", asked.host, asked.host_port);
  CheckRequest request = RequestOf(asked, "GET", asked.host_port == 443 ? asked.host : target,
                                   "/v1/items/4711?fields=name");
  auto* attributes = request.mutable_attributes();
  attributes->mutable_tls_session()->set_sni(asked.host);
  AddHeader(request, envoy::kLegHeader, envoy::kLegTunnel);
  AddHeader(request, envoy::kTargetHeader, target);
  AddHeader(request, envoy::kTunnelHeader, "Bearer " + asked.token);
  auto& claims =
      *(*attributes->mutable_metadata_context()->mutable_filter_metadata())[envoy::kJwtNamespace]
           .mutable_fields();
  auto& fields = *claims[envoy::kSessionKey].mutable_struct_value()->mutable_fields();
  for (const auto& [name, value] : {std::pair<const char*, std::string>("iss", asked.issuer),
                                    {"aud", "exeat"},
                                    {"sub", "agent-1"},
                                    {"sid", asked.sid}}) {
    fields[name].set_string_value(value);
  }
  fields["exp"].set_number_value(static_cast<double>(base::SystemClock().UnixNow() + 3600));
  fields["grants"].mutable_list_value()->add_values()->set_string_value("api");
  return request;
}

}  // namespace exeat::bench
