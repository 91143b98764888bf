// Explains what the edge would decide of a request, and which rule says so, without sending it.
//
// Shapes:    text for people, JSON for programs. It names credentials, never their values.
// Errors:    kInvalidArgument a method or URL that is not one.
// Threads:   pure functions.
// Source:    docs/denials.md
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "authz/decision.h"
#include "base/status.h"
#include "policy/policy.h"
#include "session/claims.h"

namespace exeat::ops {

struct Explanation {
  bool allowed = false;
  std::string reason;  // denial code; empty when allowed
  std::string detail;
  int status = 0;  // the denial's HTTP status; 0 when allowed
  std::string method, host, path;
  std::uint16_t port = 0;
  std::string sid;  // empty: asked without a session
  // Asked without one: "allowed" or the code that a session with the destination's grant would
  // meet.
  std::string with_session;
  std::string destination;         // empty: no rule serves that host and port
  int line = 0;                    // of the destination in the policy; 0 when there is none
  std::string grant;               // what the destination asks for; empty: any live session
  std::string credential;          // what would be attached; empty: nothing
  std::vector<std::string> allow;  // the destination's rules; empty: every method and path
  policy::Authorize authorize = policy::Authorize::kRequest;
  std::optional<policy::RateLimit> session_limits;
  std::optional<policy::RateLimit> destination_limits;
  std::uint64_t policy_revision = 0;
};

// `claims` null: as a request that presents no token.
base::StatusOr<Explanation> ExplainRequest(const std::string& method, const std::string& url,
                                           std::shared_ptr<const session::VerifiedClaims> claims,
                                           const authz::Snapshot& snapshot);

std::string ToText(const Explanation& explanation);
std::string ToJson(const Explanation& explanation);

}  // namespace exeat::ops
