// Which addresses the listeners really take: free ports in the place of 0, and none in use.
//
// Why here:  Envoy would pick a new port for 0 after each restart; guests are told only one.
// Errors:    kFailedPrecondition names the key, the address and what to do.
#pragma once

#include <string>

#include "base/status.h"
#include "policy/policy.h"

namespace exeat {

// `remembered` is a file of this edge's run directory that keeps chosen ports over restarts of
// control; `envoy_runs` says that our own Envoy may hold them now.
base::StatusOr<policy::Listeners> ClaimListeners(const policy::Listeners& wanted,
                                                 const std::string& remembered, bool envoy_runs);

// Whether something accepts TCP connections there.
bool Answers(const policy::SocketAddress& address);

}  // namespace exeat
