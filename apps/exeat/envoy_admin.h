// What control asks Envoy's admin socket: where its listeners really are, and to drain them.
//
// Errors:   kUnavailable Envoy does not answer or says something else than expected.
// Threads:  safe concurrently; each call is one short request.
#pragma once

#include <map>
#include <string>

#include "base/status.h"

namespace exeat {

class EnvoyAdmin {
 public:
  explicit EnvoyAdmin(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  // Listener name -> "IP:PORT", of listeners that are active; empty for an internal one.
  base::StatusOr<std::map<std::string, std::string>> Listeners() const;
  // Stops accepting and asks connections to close when they can.
  base::Status DrainListeners() const;
  // Connections of guests that are still open.
  base::StatusOr<std::uint64_t> OpenConnections() const;

 private:
  base::StatusOr<std::string> Ask(const char* path, bool post) const;
  std::string socket_path_;
};

}  // namespace exeat
