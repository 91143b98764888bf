#include "rpc/connection_check.h"

#include <exception>
#include <string>

#include "base/log.h"

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::CheckResponse;
using Request = ConnectionCheck::CheckRequest;

constexpr int kGrpcPermissionDenied = 7;

// The SNI in lower case, or nothing.
std::string_view ServerName(const Request& request) {
  return request.attributes().destination().service();
}

audit::Event Refused(const Request& request, const authz::Snapshot& snapshot,
                     authz::Reason reason) {
  audit::Event event;
  event.kind = audit::EventKind::kConnection;
  event.phase = audit::Phase::kOutcome;
  event.activity = "connection";
  event.reason = authz::Code(reason);
  event.host = ServerName(request);
  event.source = PeerOf(request);
  event.policy_revision = snapshot.policy_revision;
  return event;
}

}  // namespace

bool ConnectionCheck::IsAsked(const CheckRequest& request) {
  return !request.attributes().request().has_http();
}

std::optional<authz::Reason> ConnectionCheck::Refuse(const CheckRequest& request,
                                                     const authz::Snapshot& snapshot) const {
  const std::string_view name = ServerName(request);
  if (snapshot.policy == nullptr) return authz::Reason::kAuthzUnavailable;
  if (snapshot.policy->posture != policy::Posture::kBump) return authz::Reason::kPostureDenyAll;
  if (!snapshot.policy->HasHost(name)) return authz::Reason::kDestinationNotAllowed;
  const auto connection = ConnectionOf(request);
  if (!connection.has_value()) return authz::Reason::kAuthzUnavailable;
  if (!hooks_.admit_name(connection->remote, name)) return authz::Reason::kRateLimited;
  hooks_.connected(*connection, PeerOf(request));
  return std::nullopt;
}

void ConnectionCheck::Answer(const CheckRequest& request, CheckResponse& response) const noexcept {
  response.Clear();
  response.mutable_status()->set_code(kGrpcPermissionDenied);
  authz::Reason reason = authz::Reason::kAuthzUnavailable;
  try {
    const auto snapshot = hooks_.snapshot();
    const auto refusal = Refuse(request, *snapshot);
    if (!refusal.has_value()) {
      response.mutable_status()->set_code(0);
      return;
    }
    reason = *refusal;
    const base::Status recorded = hooks_.record(Refused(request, *snapshot, reason));
    if (!recorded.ok()) {
      base::LogError("a refused connection could not be recorded",
                     {{"error", base::Message(recorded)}});
    }
  } catch (const std::exception& error) {
    base::LogError("a check failed: denying", {{"error", error.what()}});
  }
  hooks_.refused(reason);
}

}  // namespace exeat::rpc
