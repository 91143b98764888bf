// An edge as the command line sees it: a state directory with a socket, a secret, and a service
// that remembers what it was asked.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/secret.h"
#include "gtest/gtest.h"
#include "guardian/socket_path.h"
#include "operator.grpc.pb.h"
#include "operator/access.h"
#include "store/testing/private_directory.h"

namespace exeat::cli {

class FakeOperator final : public ops::v1::Operator::Service {
 public:
  FakeOperator() {
    std::filesystem::create_directory(state());
    std::filesystem::permissions(state(), std::filesystem::perms::owner_all);
    const auto sockets = guardian::ShortSocketDirectory(state());
    auto secret = ops::MakeAccessSecret(state());
    if (!sockets.ok() || !secret.ok()) abort();
    secret_ = std::move(secret).value();
    const std::string path = *sockets + "/operator.sock";
    ::grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + path, ::grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) abort();
    chmod(path.c_str(), 0600);
    status.set_ready(true);
    status.set_stream_cutting("SOCK_DESTROY and pidfd_getfd");
    status.set_proxy_address("127.0.0.1:3128");
    status.set_ca_pem("-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n");
  }
  ~FakeOperator() override { server_->Shutdown(); }

  std::string state() const { return directory_.path() + "/state"; }
  const std::string& directory() const { return directory_.path(); }

  // What it was asked, in order.
  std::vector<ops::v1::CreateSessionRequest> created;
  std::vector<ops::v1::RevokeRequest> revoked;
  std::vector<ops::v1::RestoreRequest> restored;
  std::vector<ops::v1::PolicyText> applied;
  std::vector<ops::v1::WhyRequest> explained;
  std::vector<ops::v1::TailAuditRequest> tailed;
  // What it answers.
  ops::v1::EdgeStatus status;
  ops::v1::RevokeAcknowledged acknowledged = Durable();
  ops::v1::StreamsCut streams;
  ops::v1::ListRevocationsReply revocations;
  bool session_revoked = false;
  bool unchanged = false;
  std::vector<std::string> audit_lines;  // whatever record is asked for
  ::grpc::Status failure;

  ::grpc::Status CreateSession(::grpc::ServerContext* context,
                               const ops::v1::CreateSessionRequest* request,
                               ops::v1::MintedSession* reply) override {
    created.push_back(*request);
    reply->mutable_session()->set_sid("sid1");
    reply->mutable_session()->set_expires_at(1'800'000'000);
    reply->set_token("tok.en.1");
    reply->set_proxy_address(status.proxy_address());
    return Answer(context);
  }
  ::grpc::Status RenewSession(::grpc::ServerContext* context,
                              const ops::v1::RenewSessionRequest* request,
                              ops::v1::MintedSession* reply) override {
    reply->mutable_session()->set_sid(request->sid());
    reply->set_token("tok.en.2");
    reply->set_proxy_address(status.proxy_address());
    return Answer(context);
  }
  ::grpc::Status ListSessions(::grpc::ServerContext* context, const ops::v1::ListSessionsRequest*,
                              ops::v1::ListSessionsReply* reply) override {
    reply->add_sessions()->set_sid("sid1");
    reply->mutable_sessions(0)->set_revoked(session_revoked);
    return Answer(context);
  }
  // It knows one session.
  ::grpc::Status GetSession(::grpc::ServerContext* context,
                            const ops::v1::GetSessionRequest* request,
                            ops::v1::Session* reply) override {
    reply->set_sid(request->sid());
    const ::grpc::Status answer = Answer(context);
    if (!answer.ok() || request->sid() == "sid1") return answer;
    return {::grpc::StatusCode::NOT_FOUND, "no session " + request->sid()};
  }
  ::grpc::Status TailAudit(::grpc::ServerContext* context, const ops::v1::TailAuditRequest* request,
                           ::grpc::ServerWriter<ops::v1::AuditLine>* writer) override {
    tailed.push_back(*request);
    for (const std::string& line : audit_lines) {
      ops::v1::AuditLine record;
      record.set_line(line);
      writer->Write(record);
    }
    return Answer(context);
  }
  ::grpc::Status Revoke(::grpc::ServerContext* context, const ops::v1::RevokeRequest* request,
                        ::grpc::ServerWriter<ops::v1::RevokeEvent>* writer) override {
    revoked.push_back(*request);
    ops::v1::RevokeEvent event;
    *event.mutable_acknowledged() = acknowledged;
    writer->Write(event);
    *event.mutable_streams() = streams;
    writer->Write(event);
    return Answer(context);
  }
  ::grpc::Status Restore(::grpc::ServerContext* context, const ops::v1::RestoreRequest* request,
                         ops::v1::RestoreReply*) override {
    restored.push_back(*request);
    return Answer(context);
  }
  ::grpc::Status ListRevocations(::grpc::ServerContext* context,
                                 const ops::v1::ListRevocationsRequest*,
                                 ops::v1::ListRevocationsReply* reply) override {
    *reply = revocations;
    return Answer(context);
  }
  ::grpc::Status ApplyPolicy(::grpc::ServerContext* context, const ops::v1::PolicyText* request,
                             ops::v1::ApplyPolicyReply* reply) override {
    applied.push_back(*request);
    reply->set_revision(7);
    reply->set_unchanged(unchanged);
    *reply->mutable_streams() = streams;
    return Answer(context);
  }
  ::grpc::Status Why(::grpc::ServerContext* context, const ops::v1::WhyRequest* request,
                     ops::v1::WhyReply* reply) override {
    explained.push_back(*request);
    reply->set_text("refused\n");
    reply->set_json("{\"allowed\":false}");
    return Answer(context);
  }
  ::grpc::Status GetStatus(::grpc::ServerContext* context, const ops::v1::GetStatusRequest*,
                           ops::v1::EdgeStatus* reply) override {
    *reply = status;
    return Answer(context);
  }
  ::grpc::Status GetMetrics(::grpc::ServerContext* context, const ops::v1::GetMetricsRequest*,
                            ops::v1::GetMetricsReply* reply) override {
    reply->set_text("# HELP a b\nexeat_envoy_up 1\n");
    return Answer(context);
  }

 private:
  static ops::v1::RevokeAcknowledged Durable() {
    ops::v1::RevokeAcknowledged reply;
    reply.set_durable(true);
    return reply;
  }
  ::grpc::Status Answer(::grpc::ServerContext* context) const {
    const auto presented = context->client_metadata().find(ops::kAccessHeader);
    EXPECT_TRUE(presented != context->client_metadata().end() &&
                ops::Admits(secret_, {presented->second.data(), presented->second.size()}));
    return failure;
  }

  store::PrivateDirectory directory_;
  base::Secret secret_;
  std::unique_ptr<::grpc::Server> server_;
};

}  // namespace exeat::cli
