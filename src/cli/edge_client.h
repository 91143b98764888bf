// A connection to the running edge's operator API.
//
// Errors:   kNotFound no edge runs on this state directory, with the command that starts one;
//           kPermissionDenied it is another user's; otherwise the edge's own answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"
#include "cli/command.h"
#include "operator.grpc.pb.h"

namespace exeat::cli {

class EdgeClient {
 public:
  // Finds the edge by the command's --state; `policy_file` as FindState takes it.
  static base::StatusOr<EdgeClient> Connect(const Context& context,
                                            const std::string& policy_file = {});
  static base::StatusOr<EdgeClient> ConnectState(const std::string& state);

  // Calls one method: client.Call(&Stub::CreateSession, request, &reply).
  template <class Request, class Reply>
  base::Status Call(::grpc::Status (ops::v1::Operator::Stub::*method)(::grpc::ClientContext*,
                                                                      const Request&, Reply*),
                    const Request& request, Reply* reply) {
    ::grpc::ClientContext call;
    Admit(call);
    call.set_deadline(base::SystemClock().WallNow() + kPatience);
    return AsStatus((stub_.get()->*method)(&call, request, reply));
  }

  // Calls `line` for each audit record until the stream ends or `line` answers false.
  base::Status TailAudit(const ops::v1::TailAuditRequest& request,
                         const std::function<bool(const std::string&)>& line);

  // Revokes, and calls `acknowledged` as soon as that is known; then waits until the open streams
  // have ended, or for the edge's patience.
  base::StatusOr<ops::v1::StreamsCut> Revoke(
      const ops::v1::RevokeRequest& request,
      const std::function<void(const ops::v1::RevokeAcknowledged&)>& acknowledged);
  // One session of our own; kUnavailable when it is in force but not durable.
  base::Status RevokeSession(const std::string& sid, const std::string& reason);

  const std::string& state() const { return state_; }

 private:
  static constexpr std::chrono::seconds kPatience{30};
  void Admit(::grpc::ClientContext& call) const;
  static base::Status AsStatus(const ::grpc::Status& status);

  std::string state_;
  base::Secret access_;
  std::unique_ptr<ops::v1::Operator::Stub> stub_;
};

using Stub = ops::v1::Operator::Stub;

}  // namespace exeat::cli
