// The control process: everything that decides, mints and records, and the order in which it
// starts.
//
// Purpose:  the composition root. It owns every room's objects and tells the guardian when the edge
//           is ready.
// Order:    state and lock, store, keys, CA, audit, denylist; configuration; sockets; Envoy; ready.
//           Nothing answers Envoy before the denylist is loaded.
// Errors:   a state, policy, port or binary that is not as it should be ends the start with what to
//           do about it; nothing is half started then.
// Threads:  gRPC's and each room's own; of its own one that keeps house and one for a reload.
#pragma once

#include <cstdint>
#include <string>

namespace exeat {

struct ControlOptions {
  int link_fd = -1;
  std::string config;         // path of a policy file; empty: none was named or found
  bool config_named = false;  // it goes before the stored revision
  std::string state;          // path of the state directory; empty: the policy's
  std::string envoy;          // one's own binary; empty: the pinned one
  std::uint32_t envoy_uid = 0;
  std::string log_level = "info";
};

// Runs until the guardian asks for the end or goes away; returns the exit code.
int RunControl(const ControlOptions& options);

}  // namespace exeat
