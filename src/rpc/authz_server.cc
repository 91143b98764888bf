#include "rpc/authz_server.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/secret.h"
#include "envoy/asked_once.h"
#include "envoy/names.h"
#include "policy/host_name.h"
#include "policy/path_rule.h"

namespace exeat::rpc {
namespace {

using ::envoy::config::core::v3::HeaderValueOption;
using ::envoy::service::auth::v3::CheckResponse;

constexpr int kGrpcPermissionDenied = 7;
constexpr int kNewNameRetryAfterS = 60;
constexpr int kTooManyRetryAfterS = 1;
constexpr std::uint16_t kDefaultPort = 443;

void AddHeader(HeaderValueOption* option, std::string_view key, std::string_view value) {
  option->mutable_header()->set_key(std::string(key));
  option->mutable_header()->set_value(std::string(value));
  option->set_append_action(HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
}

int StatusOnLeg(authz::Reason reason, authz::Leg leg) {
  const int status = authz::HttpStatus(reason);
  return leg == authz::Leg::kConnect && status == 401 ? 407 : status;
}

// What was parsed for the decision is seldom parsed again: a destination was found by host and
// port.
std::uint16_t PortOf(std::string_view authority, const policy::Destination& destination) {
  if (destination.ports.size() == 1) return destination.ports.front();
  const auto parsed = policy::ParseAuthority(authority, kDefaultPort);
  return parsed.has_value() ? parsed->port : 0;
}

void SetAuthority(std::string_view authority, const authz::Verdict& verdict, audit::Event& event) {
  if (const auto* destination = verdict.destination; destination != nullptr) {
    event.host = destination->host;
    event.port = PortOf(authority, *destination);
    return;
  }
  const auto parsed = policy::ParseAuthority(authority, kDefaultPort);
  event.host = parsed.has_value() ? parsed->host : std::string(authority);
  event.port = parsed.has_value() ? parsed->port : 0;
}

// Good until the next call on this thread. Its strings keep their room from one record to the next,
// so that a record allocates nothing.
const audit::Event& EventOf(const CheckFacts& check, const authz::Snapshot& snapshot,
                            const authz::Verdict& verdict) {
  static const audit::Event kBlank;
  thread_local audit::Event event;
  event = kBlank;
  event.kind = audit::EventKind::kRequest;
  event.phase = verdict.allowed ? audit::Phase::kIntent : audit::Phase::kOutcome;
  event.allowed = verdict.allowed;
  event.activity = check.facts.leg == authz::Leg::kConnect ? "connect" : "request";
  if (verdict.claims != nullptr) {
    event.sid = verdict.claims->sid;
    event.jti = verdict.claims->jti;
    event.sub = verdict.claims->sub;
  }
  event.request_id = check.request_id;
  event.method = check.facts.method;
  SetAuthority(check.facts.authority, verdict, event);
  event.path = policy::PathOnly(check.facts.path);
  event.source = check.source;
  event.policy_revision = snapshot.policy_revision;
  if (verdict.destination != nullptr) {
    event.destination = verdict.destination->name;
    if (verdict.allowed) event.credential = verdict.destination->credential;
  }
  if (verdict.vetted) event.detail = "requests in this tunnel are vetted by this intent";
  if (!verdict.allowed) {
    event.reason = authz::Code(verdict.reason);
    event.status = StatusOnLeg(verdict.reason, check.facts.leg);
  }
  return event;
}

int RetryAfterS(authz::Reason reason) {
  if (reason == authz::Reason::kRateLimited) return kNewNameRetryAfterS;
  return reason == authz::Reason::kConcurrencyLimited ? kTooManyRetryAfterS : 0;
}

// What the requests in this tunnel are known by (envoy/asked_once.h).
void Vet(const CheckFacts& check, const policy::Destination& destination, CheckResponse& response) {
  auto& fields = *response.mutable_dynamic_metadata()->mutable_fields();
  fields[envoy::kVettedKey].set_string_value(
      envoy::VettedFor(destination, PortOf(check.facts.authority, destination)));
  fields[envoy::kVettedByKey].set_string_value(std::string(check.request_id));
}

// At least a millisecond: none would be no limit.
std::chrono::milliseconds UntilTokenEnds(const CheckFacts& check, const authz::Snapshot& snapshot,
                                         const session::VerifiedClaims& claims) {
  const std::chrono::seconds left(claims.exp + snapshot.policy->sessions.skew.count() -
                                  check.facts.now);
  return std::max<std::chrono::milliseconds>(left, std::chrono::milliseconds(1));
}

// A router that does not find this end bounds nothing, so it is written over whatever is there.
void Bound(std::chrono::milliseconds lasts, CheckResponse& response) {
  AddHeader(response.mutable_ok_response()->add_headers(), envoy::kStreamDurationHeader,
            std::to_string(lasts.count()));
}

void Deny(authz::Reason reason, authz::Verdict& verdict) {
  verdict.allowed = false;
  verdict.reason = reason;
  base::Secret::Wipe(verdict.presented_token);
}

}  // namespace

void RenderVerdict(const authz::Verdict& verdict, authz::Leg leg, std::string_view request_id,
                   CheckResponse* response) {
  response->Clear();
  if (verdict.allowed) {
    response->mutable_status()->set_code(0);
    auto* ok = response->mutable_ok_response();
    if (leg == authz::Leg::kConnect) {
      AddHeader(ok->add_headers(), "proxy-authorization", "Bearer " + verdict.presented_token);
    }
    return;
  }
  response->mutable_status()->set_code(kGrpcPermissionDenied);
  auto* denied = response->mutable_denied_response();
  const int status = StatusOnLeg(verdict.reason, leg);
  const int retry_after_s = RetryAfterS(verdict.reason);
  denied->mutable_status()->set_code(static_cast<::envoy::type::v3::StatusCode>(status));
  denied->set_body(authz::DenialBody(verdict.reason, request_id, retry_after_s));
  AddHeader(denied->add_headers(), "x-deny-reason", authz::Code(verdict.reason));
  AddHeader(denied->add_headers(), "content-type", "application/json");
  if (status == 407) {
    AddHeader(denied->add_headers(), "proxy-authenticate", "Basic realm=\"exeat\"");
  }
  if (retry_after_s > 0) {
    AddHeader(denied->add_headers(), "retry-after", std::to_string(retry_after_s));
  }
}

authz::Verdict AuthzServer::Judge(const CheckRequest& request, const CheckFacts& check,
                                  base::BootTime now, SnapshotPtr& snapshot,
                                  std::chrono::milliseconds& lasts) const {
  const bool at_connect = check.facts.leg == authz::Leg::kConnect;
  authz::Verdict verdict;
  verdict.reason = authz::Reason::kDenylistStale;
  if (IsFresh(now)) verdict = authz::Decide(check.facts, *snapshot);
  if (verdict.allowed && at_connect &&
      !hooks_.admit_name(verdict.claims->sid, verdict.destination->host)) {
    Deny(authz::Reason::kRateLimited, verdict);
  }
  if (verdict.allowed && at_connect) {
    if (const auto connection = ConnectionOf(request)) hooks_.connected(*connection, check.source);
  }
  if (verdict.allowed) Register(check, snapshot, verdict, lasts);
  const base::Status recorded = hooks_.record(EventOf(check, *snapshot, verdict));
  if (!recorded.ok() && verdict.allowed) {
    base::LogError("the audit log cannot record: denying", {{"error", base::Message(recorded)}});
    Deny(authz::Reason::kAuditUnavailable, verdict);
    hooks_.end(check.request_id);
  }
  if (verdict.allowed && hooks_.lease != nullptr && !IsFresh(clock_.BootNow())) {
    Deny(authz::Reason::kDenylistStale, verdict);
    hooks_.end(check.request_id);
  }
  return verdict;
}

void AuthzServer::Register(const CheckFacts& check, SnapshotPtr& snapshot, authz::Verdict& verdict,
                           std::chrono::milliseconds& lasts) const {
  limits::OpenStream stream;
  stream.claims = verdict.claims;
  stream.destination = {snapshot->policy, verdict.destination};
  stream.rule = verdict.rule;
  stream.port = PortOf(check.facts.authority, *verdict.destination);
  stream.is_tunnel = check.facts.leg == authz::Leg::kConnect;
  const bool may_be_vetted = verdict.vetted && hooks_.may_vet();
  stream.is_vetted = may_be_vetted;
  const auto begun = hooks_.begin(check.source, check.request_id, std::move(stream));
  if (begun.begun != limits::Begun::kOpen) {
    Deny(begun.begun == limits::Begun::kTooMany ? authz::Reason::kConcurrencyLimited
                                                : authz::Reason::kStreamUncuttable,
         verdict);
    return;
  }
  lasts = begun.lasts;
  if (lasts.count() > 0) lasts = std::min(lasts, UntilTokenEnds(check, *snapshot, *verdict.claims));
  SnapshotPtr now = hooks_.snapshot();
  if (now != snapshot) {
    base::Secret::Wipe(verdict.presented_token);
    verdict = authz::Decide(check.facts, *now);
    snapshot = std::move(now);
  }
  verdict.vetted = verdict.vetted && may_be_vetted && hooks_.may_vet();
  if (!verdict.allowed) hooks_.end(check.request_id);
}

void AuthzServer::Answer(const CheckRequest& request, CheckResponse& response) const noexcept {
  const base::BootTime started = clock_.BootNow();
  SnapshotPtr snapshot;  // the verdict points into it
  authz::Verdict verdict;
  CheckFacts check;
  try {
    check = FactsOf(request, clock_.UnixNow());
    snapshot = hooks_.snapshot();
    std::chrono::milliseconds lasts{0};
    verdict = Judge(request, check, started, snapshot, lasts);
    RenderVerdict(verdict, check.facts.leg, check.request_id, &response);
    if (verdict.allowed && verdict.vetted) Vet(check, *verdict.destination, response);
    if (verdict.allowed && lasts.count() > 0) Bound(lasts, response);
  } catch (const std::exception& error) {
    base::Secret::Wipe(verdict.presented_token);
    verdict = authz::Verdict();
    base::LogError("a check failed: denying", {{"error", error.what()}});
    hooks_.end(check.request_id);
    RenderVerdict(verdict, check.facts.leg, {}, &response);
  }
  base::Secret::Wipe(verdict.presented_token);
  hooks_.observe(check.facts.leg, verdict, clock_.BootNow() - started);
}

}  // namespace exeat::rpc
