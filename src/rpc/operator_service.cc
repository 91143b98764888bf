#include "rpc/operator_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "operator/why.h"
#include "rpc/status.h"
#include "session/claims.h"

namespace exeat::rpc {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr int kMaxTails = 16;
constexpr std::chrono::milliseconds kTailInterval{100};

// Counts those inside.
class Turn {
 public:
  explicit Turn(std::atomic<int>& count) : count_(count), number_(count.fetch_add(1) + 1) {}
  ~Turn() { count_.fetch_sub(1); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  int number() const { return number_; }

 private:
  std::atomic<int>& count_;
  const int number_;
};

base::StatusOr<store::RevokedKind> KindOf(ops::v1::RevokedKind kind) {
  switch (kind) {
    case ops::v1::REVOKED_KIND_SESSION:
      return store::RevokedKind::kSession;
    case ops::v1::REVOKED_KIND_TOKEN_ID:
      return store::RevokedKind::kTokenId;
    case ops::v1::REVOKED_KIND_SUBJECT:
      return store::RevokedKind::kSubject;
    case ops::v1::REVOKED_KIND_ALL:
      return store::RevokedKind::kAll;
    default:
      return MakeStatus(StatusCode::kInvalidArgument, "the kind of revocation is not set");
  }
}

template <class Proto>
base::StatusOr<std::vector<ops::RevocationRequest>> RequestsOf(const Proto& proto) {
  std::vector<ops::RevocationRequest> requests;
  requests.reserve(static_cast<std::size_t>(proto.what_size()));
  for (const ops::v1::Revocable& what : proto.what()) {
    ops::RevocationRequest request;
    ASSIGN_OR_RETURN(request.kind, KindOf(what.kind()));
    request.id = what.id();
    request.reason = proto.reason();
    requests.push_back(std::move(request));
  }
  return requests;
}

ops::v1::RevokedKind KindOf(store::RevokedKind kind) {
  switch (kind) {
    case store::RevokedKind::kSession:
      return ops::v1::REVOKED_KIND_SESSION;
    case store::RevokedKind::kTokenId:
      return ops::v1::REVOKED_KIND_TOKEN_ID;
    case store::RevokedKind::kSubject:
      return ops::v1::REVOKED_KIND_SUBJECT;
    case store::RevokedKind::kAll:
      break;
  }
  return ops::v1::REVOKED_KIND_ALL;
}

void Fill(const ops::Revoked& revoked, ops::v1::RevokeAcknowledged& out) {
  out.set_durable(revoked.durable);
  out.set_problem(revoked.problem);
  out.set_uncut(revoked.uncut);
  out.set_edges(revoked.edges.in_force);
  out.set_ended(revoked.edges.ended);
  out.set_pending(revoked.durable && !revoked.everywhere);
}

void Fill(const ops::CutReport& report, ops::v1::StreamsCut& out) {
  out.set_cut(report.open - report.uncut);
  out.set_uncut(report.uncut);
  out.set_took_us(std::chrono::duration_cast<std::chrono::microseconds>(report.took).count());
  out.set_ends_within_s(static_cast<std::uint32_t>(report.ends_within.count()));
}

void Fill(const store::RevocationRow& row, ops::v1::Revocation& out) {
  out.mutable_what()->set_kind(KindOf(row.kind));
  out.mutable_what()->set_id(row.id);
  out.set_reason(row.reason);
  out.set_revoked_at(row.revoked_at);
  out.set_expires_at(row.expires_at);
}

void Fill(const ops::SessionView& view, ops::v1::Session& out) {
  out.set_sid(view.row.sid);
  out.set_sub(view.row.sub);
  out.set_jti(view.row.jti);
  for (const std::string& grant : view.row.grants) out.add_grants(grant);
  out.set_created_at(view.row.created_at);
  out.set_expires_at(view.row.expires_at);
  out.set_revoked(view.revoked);
  out.set_ended(view.ended);
}

void Fill(const ops::Minted& minted, const ops::EdgeStatus& edge, ops::v1::MintedSession& out) {
  Fill(minted.session, *out.mutable_session());
  out.mutable_session()->set_expires_at(minted.expires_at);
  out.set_token(std::string(minted.token.Reveal()));
  out.set_proxy_address(edge.proxy_address);
}

ops::PolicySource SourceOf(const ops::v1::PolicyText& proto) {
  return {proto.text(), proto.file(), proto.base_directory()};
}

const char* PostureName(policy::Posture posture) {
  return posture == policy::Posture::kBump ? "bump" : "deny-all";
}

// One request that the destination's rules allow, for a walk along the real path.
void Fill(const policy::Destination& destination, ops::v1::Destination& out) {
  out.set_name(destination.name);
  out.set_host(destination.host);
  out.set_port(destination.ports.empty() ? 443 : destination.ports.front());
  out.set_grant(destination.grant);
  out.set_method("GET");
  out.set_path("/");
  if (!destination.allow || destination.allow->empty()) return;
  // Preferably one that changes nothing at the upstream.
  const auto reads = [](const policy::AllowRule& rule) {
    return rule.methods.empty() ||
           std::find(rule.methods.begin(), rule.methods.end(), "GET") != rule.methods.end();
  };
  const auto found = std::find_if(destination.allow->begin(), destination.allow->end(), reads);
  const policy::AllowRule& rule =
      found == destination.allow->end() ? destination.allow->front() : *found;
  if (!reads(rule)) out.set_method(rule.methods.front());
  if (rule.path) out.set_path(rule.path->text());
}

void Fill(const ops::StoreStatus& store, ops::v1::StoreStatus& out) {
  out.set_shared(store.shared);
  if (!store.up.ok()) out.set_problem(base::Message(store.up));
  out.set_lease_ms(store.lease.count());
  out.set_applied(store.applied);
  out.set_edges(static_cast<std::uint32_t>(store.edges));
  if (!store.policy.ok()) out.set_policy_problem(base::Message(store.policy));
}

void Fill(const policy::Policy& policy, ops::v1::EdgeStatus& out) {
  out.set_deployment(policy.deployment);
  out.set_posture(PostureName(policy.posture));
  out.set_state_dir(policy.state_dir);
  for (const policy::Destination& destination : policy.destinations) {
    Fill(destination, *out.add_destinations());
  }
}

}  // namespace

OperatorService::OperatorService(Parts parts) : parts_(parts) {}

// The one place that admits a call, and where what a library throws becomes an error.
template <class Body>
::grpc::Status OperatorService::Guarded(const ::grpc::ServerContext& context, Body body) const {
  try {
    const auto& metadata = context.client_metadata();
    const auto presented = metadata.find(ops::kAccessHeader);
    const bool admitted =
        presented != metadata.end() &&
        ops::Admits(parts_.access, {presented->second.data(), presented->second.size()});
    if (!admitted) {
      return {::grpc::StatusCode::PERMISSION_DENIED, "this call carries no valid access secret"};
    }
    return ToGrpc(body());
  } catch (const std::exception& error) {
    return {::grpc::StatusCode::INTERNAL, error.what()};
  }
}

void OperatorService::Stop() {
  base::MutexLock lock(mutex_);
  stopping_ = true;
  stopped_.NotifyAll();
}

::grpc::Status OperatorService::CreateSession(::grpc::ServerContext* context,
                                              const ops::v1::CreateSessionRequest* request,
                                              ops::v1::MintedSession* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ops::SessionRequest wanted;
    wanted.sub = request->sub();
    wanted.grants.assign(request->grants().begin(), request->grants().end());
    wanted.ttl = std::chrono::seconds(request->ttl_s());
    ASSIGN_OR_RETURN(const ops::Minted minted, parts_.sessions.Create(wanted));
    Fill(minted, parts_.edge.Status(), *reply);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::RenewSession(::grpc::ServerContext* context,
                                             const ops::v1::RenewSessionRequest* request,
                                             ops::v1::MintedSession* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const ops::Minted minted,
                     parts_.sessions.Renew(request->sid(), std::chrono::seconds(request->ttl_s())));
    Fill(minted, parts_.edge.Status(), *reply);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::ListSessions(::grpc::ServerContext* context,
                                             const ops::v1::ListSessionsRequest*,
                                             ops::v1::ListSessionsReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const std::vector<ops::SessionView> views, parts_.sessions.List());
    for (const ops::SessionView& view : views) Fill(view, *reply->add_sessions());
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::GetSession(::grpc::ServerContext* context,
                                           const ops::v1::GetSessionRequest* request,
                                           ops::v1::Session* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const ops::SessionView view, parts_.sessions.Show(request->sid()));
    Fill(view, *reply);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::Revoke(::grpc::ServerContext* context,
                                       const ops::v1::RevokeRequest* request,
                                       ::grpc::ServerWriter<ops::v1::RevokeEvent>* writer) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const std::vector<ops::RevocationRequest> wanted, RequestsOf(*request));
    ASSIGN_OR_RETURN(const ops::Revoked revoked, parts_.revocations.RevokeAll(wanted));
    ops::v1::RevokeEvent acknowledged;
    Fill(revoked, *acknowledged.mutable_acknowledged());
    writer->Write(acknowledged);
    ops::v1::RevokeEvent cut;
    Fill(parts_.revocations.AwaitCut(revoked), *cut.mutable_streams());
    writer->Write(cut);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::Restore(::grpc::ServerContext* context,
                                        const ops::v1::RestoreRequest* request,
                                        ops::v1::RestoreReply*) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const std::vector<ops::RevocationRequest> wanted, RequestsOf(*request));
    return parts_.revocations.RestoreAll(wanted);
  });
}

::grpc::Status OperatorService::ListRevocations(::grpc::ServerContext* context,
                                                const ops::v1::ListRevocationsRequest*,
                                                ops::v1::ListRevocationsReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const std::vector<store::RevocationRow> rows, parts_.revocations.List());
    for (const store::RevocationRow& row : rows) Fill(row, *reply->add_revocations());
    const revocation::Snapshot denylist = parts_.denylist.Read();
    const std::size_t in_force = denylist.size() + (denylist.everything() ? 1 : 0);
    reply->set_not_stored(in_force > rows.size() ? in_force - rows.size() : 0);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::RotateSigningKey(::grpc::ServerContext* context,
                                                 const ops::v1::RotateSigningKeyRequest* request,
                                                 ops::v1::RotateSigningKeyReply*) {
  return Guarded(*context, [&] { return parts_.sessions.RotateSigningKey(request->withdraw()); });
}

::grpc::Status OperatorService::DiffPolicy(::grpc::ServerContext* context,
                                           const ops::v1::PolicyText* request,
                                           ops::v1::DiffPolicyReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const ops::PolicyDifference difference,
                     parts_.policies.Diff(SourceOf(*request)));
    for (const std::string& change : difference.changes) reply->add_changes(change);
    for (const std::string& key : difference.restart_keys) reply->add_restart_keys(key);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::ApplyPolicy(::grpc::ServerContext* context,
                                            const ops::v1::PolicyText* request,
                                            ops::v1::ApplyPolicyReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    ASSIGN_OR_RETURN(const ops::Applied applied, parts_.policies.Apply(SourceOf(*request)));
    reply->set_revision(applied.revision);
    for (const std::string& change : applied.changes) reply->add_changes(change);
    Fill(applied.cut, *reply->mutable_streams());
    reply->set_unchanged(applied.unchanged);
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::Why(::grpc::ServerContext* context,
                                    const ops::v1::WhyRequest* request, ops::v1::WhyReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    const authz::Snapshot snapshot = parts_.edge.Current();
    std::shared_ptr<const session::VerifiedClaims> claims;
    if (!request->sid().empty()) {
      ASSIGN_OR_RETURN(const ops::SessionView view, parts_.sessions.Show(request->sid()));
      if (view.ended) {
        return MakeStatus(StatusCode::kFailedPrecondition,
                          "session " + view.row.sid + " has ended; open a new one");
      }
      session::Claims named;
      named.sid = view.row.sid;
      named.jti = view.row.jti;
      named.sub = view.row.sub;
      named.iat = named.nbf = view.row.created_at;
      named.exp = view.row.expires_at;
      named.grants = view.row.grants;
      if (snapshot.policy != nullptr) named.iss = snapshot.policy->deployment;
      claims = std::make_shared<const session::VerifiedClaims>(std::move(named));
    }
    ASSIGN_OR_RETURN(const ops::Explanation explanation,
                     ops::ExplainRequest(request->method(), request->url(), claims, snapshot));
    reply->set_allowed(explanation.allowed);
    reply->set_json(ops::ToJson(explanation));
    reply->set_text(ops::ToText(explanation));
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::GetStatus(::grpc::ServerContext* context,
                                          const ops::v1::GetStatusRequest*,
                                          ops::v1::EdgeStatus* reply) {
  return Guarded(*context, [&]() -> base::Status {
    const authz::Snapshot snapshot = parts_.edge.Current();
    const ops::EdgeStatus edge = parts_.edge.Status();
    if (snapshot.policy != nullptr) Fill(*snapshot.policy, *reply);
    reply->set_version(EXEAT_VERSION);
    reply->set_policy_revision(snapshot.policy_revision);
    reply->set_restrictions_in_force(snapshot.restrictions_in_force);
    for (const std::string& name : snapshot.unavailable_credentials) {
      reply->add_unavailable_credentials(name);
    }
    reply->set_ready(edge.ready);
    for (const ops::ProcessStatus& process : edge.processes) {
      ops::v1::Process& out = *reply->add_processes();
      out.set_role(process.role);
      out.set_pid(process.pid);
    }
    reply->set_proxy_address(edge.proxy_address);
    reply->set_transparent_address(edge.transparent_address);
    reply->set_envoy_version(edge.envoy_version);
    reply->set_confinement(edge.confinement);
    reply->set_stream_cutting(edge.stream_cutting);
    reply->set_cut_bound_s(static_cast<std::uint32_t>(edge.cut_bound.count()));
    reply->set_nacks(edge.nacks);
    reply->set_last_nack(edge.last_nack);
    reply->set_leaves(edge.leaves);
    Fill(edge.store, *reply->mutable_store());
    reply->set_live_sessions(parts_.sessions.live_sessions());
    reply->set_denylist_size(parts_.denylist.Read().size());
    reply->set_unix_now(parts_.clock.UnixNow());
    const audit::HeadRecord head = parts_.audit.Head();
    reply->set_audit_dir(parts_.audit.directory());
    reply->set_audit_seq(head.seq);
    reply->set_audit_head(head.hash);
    const base::Status health = parts_.audit.Health();
    if (!health.ok()) reply->set_audit_problem(base::Message(health));
    reply->set_ca_pem(parts_.edge.CaCertificate());
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::GetMetrics(::grpc::ServerContext* context,
                                           const ops::v1::GetMetricsRequest*,
                                           ops::v1::GetMetricsReply* reply) {
  return Guarded(*context, [&]() -> base::Status {
    parts_.metrics.SetAudit(parts_.audit.Health());
    parts_.metrics.SetStore(parts_.edge.Status().store);
    reply->set_text(parts_.metrics.Text());
    return absl::OkStatus();
  });
}

::grpc::Status OperatorService::TailAudit(::grpc::ServerContext* context,
                                          const ops::v1::TailAuditRequest* request,
                                          ::grpc::ServerWriter<ops::v1::AuditLine>* writer) {
  return Guarded(*context, [&]() -> base::Status {
    const Turn turn(tails_);
    if (turn.number() > kMaxTails) {
      return MakeStatus(StatusCode::kResourceExhausted,
                        "too many are following the audit log; end one first");
    }
    return Follow(*context, request->from_seq(), request->follow(), *writer);
  });
}

base::Status OperatorService::Follow(::grpc::ServerContext& context, std::uint64_t from_seq,
                                     bool follow,
                                     ::grpc::ServerWriter<ops::v1::AuditLine>& writer) {
  std::uint64_t next = std::max<std::uint64_t>(from_seq, 1);
  while (true) {
    bool reachable = true;
    if (parts_.audit.last_seq() >= next) {
      RETURN_IF_ERROR(audit::Export(parts_.audit.directory(), next, [&](std::string_view line) {
        ops::v1::AuditLine out;
        out.set_line(std::string(line));
        reachable = reachable && writer.Write(out);
        ++next;
      }));
    }
    if (!follow || !reachable) return absl::OkStatus();
    base::MutexLock lock(mutex_);
    if (!stopping_) stopped_.WaitFor(mutex_, kTailInterval);
    if (stopping_ || context.IsCancelled()) return absl::OkStatus();
  }
}

}  // namespace exeat::rpc
