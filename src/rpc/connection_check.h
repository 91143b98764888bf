// Answers the question that Envoy asks of a redirected connection before a byte of it goes inward.
//
// Why here:   nobody is known yet, so all there is to judge is whether the name that was asked for
//             is listed, and how fast its source brings new ones.
// Shapes:     the same service as for requests; such a question has no HTTP request, and one about
//             a request always has.
// Limits:     what a connection comes from bounds it and is no identity: each request in it is
//             judged by its token.
// Fail mode:  no policy, no server name, an end that is no TCP address, anything thrown: refused.
//             Only refusals are recorded; one that cannot be is a refusal all the same.
// Threads:    Answer is safe concurrently.
// Source:     docs/adr/0010-delta-ads.md
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "audit/event.h"
#include "authz/decision.h"
#include "base/status.h"
#include "envoy/service/auth/v3/external_auth.pb.h"
#include "rpc/check_facts.h"

namespace exeat::rpc {

class ConnectionCheck final {
 public:
  using CheckRequest = ::envoy::service::auth::v3::CheckRequest;
  struct Hooks {
    std::function<std::shared_ptr<const authz::Snapshot>()> snapshot;
    std::function<base::Status(const audit::Event&)> record;
    // Whether this source may bring this name, whose leaf may have to be minted first.
    std::function<bool(const base::SocketEnd& source, std::string_view host)> admit_name;
    // The connection is let in; `peer` names it in every request on it. Called before the answer.
    std::function<void(const Connection&, std::string_view peer)> connected;
    std::function<void(authz::Reason)> refused;
  };
  explicit ConnectionCheck(Hooks hooks) : hooks_(std::move(hooks)) {}

  static bool IsAsked(const CheckRequest& request);

  // Never throws; serve it by a CheckQueue.
  void Answer(const CheckRequest& request,
              ::envoy::service::auth::v3::CheckResponse& response) const noexcept;

 private:
  // nullopt: let in.
  std::optional<authz::Reason> Refuse(const CheckRequest& request,
                                      const authz::Snapshot& snapshot) const;

  const Hooks hooks_;
};

}  // namespace exeat::rpc
