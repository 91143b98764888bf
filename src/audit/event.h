// One thing that happened, as the audit log records it.
//
// Shapes:   Record renders it as one OCSF 1.8 JSON object; empty members are left out.
// Never:    token bytes, credential values.
// Source:   docs/formats/audit-chain.md; OCSF 1.8 classes 4002, 4001, 3002, 6003
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace exeat::audit {

enum class EventKind {
  kRequest,         // 4002: a request judged on the bumped leg or at CONNECT
  kConnection,      // 4001: closed before TLS
  kSession,         // 3002: opened, renewed, revoked, restored
  kOperatorAction,  // 6003: policy applied, key rotated, edge started
  kLeaf,            // 6003: a leaf is about to be signed
};

enum class Phase { kNone, kIntent, kOutcome };

struct Event {
  EventKind kind = EventKind::kRequest;
  Phase phase = Phase::kNone;
  bool allowed = false;
  std::string activity;  // "request", "connect", "session_created", "policy_applied", ...
  std::string reason;    // denial code or operator's reason
  std::string sid, jti, sub;
  std::string request_id;
  std::string vetted_by;           // request_id of the CONNECT whose intent this outcome belongs to
  std::string destination;         // name in the policy
  std::string credential;          // name, never a value
  std::string method, host, path;  // path without query
  std::uint16_t port = 0;
  std::string source;                         // guest ip:port
  int status = 0;                             // HTTP status of the outcome
  std::uint64_t bytes_in = 0, bytes_out = 0;  // guest <- upstream, guest -> upstream
  std::uint64_t duration_ms = 0;
  std::string detail;  // free text of ours: Envoy's response flags, a serial
  std::uint64_t policy_revision = 0;
};

}  // namespace exeat::audit
