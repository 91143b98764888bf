// Answers Envoy's ext_authz: facts in, verdict out, the intent recorded before an allow.
//
// Order:     decide, register the stream, and decide again when the denials changed meanwhile: a
//            revoke denies first and then looks for streams, so one of the two sees the other. Last
//            of all the lease is looked at, without which nobody may be let go on.
//            A tunnel is vetted once it is registered as one.
// Fail mode: a default-constructed answer denies; an intent that cannot be recorded is a denial
//            (audit_unavailable); anything thrown is a denial.
// Threads:   Answer is safe concurrently; it touches memory and the audit file only.
// Source:    docs/walkthroughs/request.md
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "audit/event.h"
#include "authz/decision.h"
#include "base/clock.h"
#include "base/status.h"
#include "envoy/service/auth/v3/external_auth.pb.h"
#include "limits/open_streams.h"
#include "revocation/lease.h"
#include "rpc/check_facts.h"

namespace exeat::rpc {

class AuthzServer final {
 public:
  using CheckRequest = ::envoy::service::auth::v3::CheckRequest;
  struct Hooks {
    std::function<std::shared_ptr<const authz::Snapshot>()> snapshot;
    std::function<base::Status(const audit::Event&)> record;
    // Whether this session may have a leaf minted for one more name; asked at CONNECT.
    std::function<bool(std::string_view sid, std::string_view host)> admit_name;
    std::function<void(authz::Leg, const authz::Verdict&, std::chrono::nanoseconds)> observe;
    // The connection of an allowed CONNECT; `peer` names it in every request on it.
    std::function<void(const Connection&, std::string_view peer)> connected;
    // Registers an allowed stream; anything but kOpen is a denial (concurrency_limited when there
    // are too many, else stream_uncuttable). Envoy is told to end what cannot be cut.
    std::function<limits::Admission(std::string_view peer, std::string_view id,
                                    limits::OpenStream stream)>
        begin;
    // Whether a tunnel's requests may go unasked now: every one that did before would be found.
    std::function<bool()> may_vet;
    // Takes back what `begin` registered.
    std::function<void(std::string_view id)> end;
    // Null: the denylist is this edge's own, and always fresh.
    const revocation::Lease* lease = nullptr;
  };
  AuthzServer(Hooks hooks, const base::Clock& clock) : hooks_(std::move(hooks)), clock_(clock) {}

  // Never throws; serve it by a CheckQueue.
  void Answer(const CheckRequest& request,
              ::envoy::service::auth::v3::CheckResponse& response) const noexcept;

 private:
  using SnapshotPtr = std::shared_ptr<const authz::Snapshot>;
  // `lasts`: zero unless Envoy must end the stream after so long.
  authz::Verdict Judge(const CheckRequest& request, const CheckFacts& check, base::BootTime now,
                       SnapshotPtr& snapshot, std::chrono::milliseconds& lasts) const;
  bool IsFresh(base::BootTime now) const {
    return hooks_.lease == nullptr || hooks_.lease->Holds(now);
  }
  void Register(const CheckFacts& check, SnapshotPtr& snapshot, authz::Verdict& verdict,
                std::chrono::milliseconds& lasts) const;

  Hooks hooks_;
  const base::Clock& clock_;
};

// The wire form of a verdict; anything but an allowed one is a denial.
void RenderVerdict(const authz::Verdict& verdict, authz::Leg leg, std::string_view request_id,
                   ::envoy::service::auth::v3::CheckResponse* response);

}  // namespace exeat::rpc
