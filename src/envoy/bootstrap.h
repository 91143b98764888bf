// What Envoy is started with: who it is, and the socket over which it learns the rest.
//
// Limits:  started with --reject-unknown-dynamic-fields, without which a misspelt field in a push
//          silently empties a filter.
#pragma once

#include <cstdint>
#include <string>

namespace exeat::envoy {

struct BootstrapInputs {
  std::string node_id;                     // this edge
  std::string deployment;                  // the node's cluster
  std::string control_socket;              // path: ADS, ext_authz and access log
  std::string admin_socket;                // path, in a directory closed to others
  std::uint32_t max_connections = 20'000;  // of guests, over all listeners
};

// JSON text.
std::string BuildBootstrap(const BootstrapInputs& inputs);

}  // namespace exeat::envoy
