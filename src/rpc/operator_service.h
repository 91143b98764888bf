// The operator's API over gRPC: proto to desk and back, nothing else.
//
// Serve only:  on the operator's own socket. Each call must carry the access secret as well
//              (operator/access.h); without it every method is kPermissionDenied.
// Errors:      as the desks', with the same codes; what a library throws is kInternal.
// Threads:     synchronous: one of gRPC's threads a call. Nothing here is on the decision path.
// Source:      src/operator/operator.proto
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "audit/log.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/secret.h"
#include "operator.grpc.pb.h"
#include "operator/access.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "operator/policies.h"
#include "operator/revocations.h"
#include "operator/sessions.h"

namespace exeat::rpc {

class OperatorService final : public ops::v1::Operator::Service {
 public:
  // All of it outlives the service.
  struct Parts {
    ops::SessionDesk& sessions;
    ops::RevocationDesk& revocations;
    ops::PolicyDesk& policies;
    ops::Edge& edge;
    ops::Metrics& metrics;
    revocation::Denylist& denylist;
    audit::Log& audit;
    const base::Clock& clock;
    const base::Secret& access;
  };
  explicit OperatorService(Parts parts);

  // Ends the streams that would wait for ever. Call before the server's Shutdown.
  void Stop();

  ::grpc::Status CreateSession(::grpc::ServerContext* context, const ops::v1::CreateSessionRequest*,
                               ops::v1::MintedSession*) override;
  ::grpc::Status RenewSession(::grpc::ServerContext* context, const ops::v1::RenewSessionRequest*,
                              ops::v1::MintedSession*) override;
  ::grpc::Status ListSessions(::grpc::ServerContext* context, const ops::v1::ListSessionsRequest*,
                              ops::v1::ListSessionsReply*) override;
  ::grpc::Status GetSession(::grpc::ServerContext* context, const ops::v1::GetSessionRequest*,
                            ops::v1::Session*) override;
  ::grpc::Status Revoke(::grpc::ServerContext* context, const ops::v1::RevokeRequest*,
                        ::grpc::ServerWriter<ops::v1::RevokeEvent>*) override;
  ::grpc::Status Restore(::grpc::ServerContext* context, const ops::v1::RestoreRequest*,
                         ops::v1::RestoreReply*) override;
  ::grpc::Status ListRevocations(::grpc::ServerContext* context,
                                 const ops::v1::ListRevocationsRequest*,
                                 ops::v1::ListRevocationsReply*) override;
  ::grpc::Status RotateSigningKey(::grpc::ServerContext* context,
                                  const ops::v1::RotateSigningKeyRequest*,
                                  ops::v1::RotateSigningKeyReply*) override;
  ::grpc::Status DiffPolicy(::grpc::ServerContext* context, const ops::v1::PolicyText*,
                            ops::v1::DiffPolicyReply*) override;
  ::grpc::Status ApplyPolicy(::grpc::ServerContext* context, const ops::v1::PolicyText*,
                             ops::v1::ApplyPolicyReply*) override;
  ::grpc::Status Why(::grpc::ServerContext* context, const ops::v1::WhyRequest*,
                     ops::v1::WhyReply*) override;
  ::grpc::Status GetStatus(::grpc::ServerContext* context, const ops::v1::GetStatusRequest*,
                           ops::v1::EdgeStatus*) override;
  ::grpc::Status GetMetrics(::grpc::ServerContext* context, const ops::v1::GetMetricsRequest*,
                            ops::v1::GetMetricsReply*) override;
  ::grpc::Status TailAudit(::grpc::ServerContext* context, const ops::v1::TailAuditRequest*,
                           ::grpc::ServerWriter<ops::v1::AuditLine>*) override;

 private:
  template <class Body>
  ::grpc::Status Guarded(const ::grpc::ServerContext& context, Body body) const;
  base::Status Follow(::grpc::ServerContext& context, std::uint64_t from_seq, bool follow,
                      ::grpc::ServerWriter<ops::v1::AuditLine>& writer);

  const Parts parts_;
  base::Mutex mutex_;
  base::CondVar stopped_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::atomic<int> tails_{0};
};

}  // namespace exeat::rpc
