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
  // Access log entries that it made since it started, those it still holds back among them.
  base::StatusOr<std::uint64_t> LogEntries() const;

 private:
  base::StatusOr<std::string> Ask(const char* path, bool post) const;
  // The sum of the statistics that `filter`, a regular expression, names.
  base::StatusOr<std::uint64_t> Sum(const char* filter) const;
  std::string socket_path_;
};

}  // namespace exeat
