#include "rpc/operator_service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <filesystem>
#include <thread>

#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "operator/testing/fake_edge.h"
#include "operator/testing/fake_keys.h"
#include "rpc/status.h"
#include "store/testing/memory_store.h"
#include "store/testing/private_directory.h"

namespace exeat::rpc {
namespace {

using ops::v1::Operator;

// The whole API over a socket, with fakes behind the desks and a real audit log.
class Service : public ::testing::Test {
 protected:
  void SetUp() override {
    auto log = audit::Log::Open(directory_.path() + "/audit", "acme", clock_);
    ASSERT_THAT(log, base::IsOk());
    log_ = std::move(log).value();
    recorder_ = std::make_unique<ops::Recorder>(*log_, metrics_, [] { return 1; });
    revocations_ = std::make_unique<ops::RevocationDesk>(
        ops::RevocationDesk::Parts{edge_, denylist_, store_, worker_, *recorder_, metrics_, clock_},
        ops::RevocationDesk::Options{});
    sessions_ = std::make_unique<ops::SessionDesk>(
        ops::SessionDesk::Parts{edge_, keys_, *revocations_, store_, worker_, *recorder_, metrics_,
                                clock_},
        ops::SessionDesk::Options{});
    policies_ = std::make_unique<ops::PolicyDesk>(
        ops::PolicyDesk::Parts{edge_, store_, worker_, *recorder_, metrics_, clock_});
    ASSERT_THAT(revocations_->Load(), base::IsOk());
    ASSERT_THAT(sessions_->Load(), base::IsOk());
    service_ = std::make_unique<OperatorService>(OperatorService::Parts{
        *sessions_, *revocations_, *policies_, edge_, metrics_, denylist_, *log_, clock_, secret_});
    const std::string address = "unix:" + directory_.path() + "/operator.sock";
    ::grpc::ServerBuilder builder;
    builder.AddListeningPort(address, ::grpc::InsecureServerCredentials());
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    stub_ = Operator::NewStub(::grpc::CreateChannel(address, ::grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    service_->Stop();
    server_->Shutdown();
  }

  policy::Policy SmallPolicy() {
    policy::Policy policy;
    policy.deployment = "acme";
    policy.audit_dir = directory_.path() + "/audit";
    policy::Destination posts;
    posts.name = "posts";
    posts.host = "posts.test";
    posts.ports = {8443};
    posts.grant = "posts";
    posts.allow = std::vector<policy::AllowRule>{{{"POST"}, policy::PathRule::Parse("/v1")}};
    policy.destinations.push_back(posts);
    return policy;
  }

  template <class Request, class Reply>
  ::grpc::Status Call(::grpc::Status (Operator::Stub::*method)(::grpc::ClientContext*,
                                                               const Request&, Reply*),
                      const Request& request, Reply* reply, const std::string& secret = "s3cret") {
    ::grpc::ClientContext call;
    if (!secret.empty()) call.AddMetadata(ops::kAccessHeader, secret);
    return (stub_.get()->*method)(&call, request, reply);
  }

  struct Answers {
    ::grpc::Status status;
    std::vector<ops::v1::RevokeEvent> events;
  };
  Answers Revoke(const ops::v1::RevokeRequest& request, const std::string& secret = "s3cret") {
    ::grpc::ClientContext call;
    if (!secret.empty()) call.AddMetadata(ops::kAccessHeader, secret);
    const auto reader = stub_->Revoke(&call, request);
    Answers answers;
    for (ops::v1::RevokeEvent event; reader->Read(&event);) answers.events.push_back(event);
    answers.status = reader->Finish();
    return answers;
  }

  store::PrivateDirectory directory_;
  base::FakeClock clock_;
  revocation::Denylist denylist_;
  ops::FakeEdge edge_{SmallPolicy(), denylist_};
  ops::FakeKeys keys_;
  store::MemoryStore store_;
  ops::Metrics metrics_;
  base::Worker worker_{16};
  base::Secret secret_{"s3cret"};
  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<ops::Recorder> recorder_;
  std::unique_ptr<ops::RevocationDesk> revocations_;
  std::unique_ptr<ops::SessionDesk> sessions_;
  std::unique_ptr<ops::PolicyDesk> policies_;
  std::unique_ptr<OperatorService> service_;
  std::unique_ptr<::grpc::Server> server_;
  std::unique_ptr<Operator::Stub> stub_;
};

TEST_F(Service, RefusesACallWithoutTheAccessSecret) {
  ops::v1::MintedSession minted;
  ops::v1::CreateSessionRequest request;
  request.set_sub("alice");
  request.set_ttl_s(60);
  for (const char* secret : {"", "wrong", "s3cre", "s3cret2"}) {
    EXPECT_EQ(Call(&Operator::Stub::CreateSession, request, &minted, secret).error_code(),
              ::grpc::StatusCode::PERMISSION_DENIED)
        << secret;
  }
  EXPECT_TRUE(keys_.signed_claims.empty());
  ops::v1::RevokeRequest all;
  all.add_what()->set_kind(ops::v1::REVOKED_KIND_ALL);
  EXPECT_FALSE(Revoke(all, "").status.ok());
  EXPECT_FALSE(denylist_.Read().everything());
}

TEST_F(Service, OpensShowsAndRevokesASession) {
  edge_.SetStatus({.ready = true, .proxy_address = "127.0.0.1:3128"});
  ops::v1::CreateSessionRequest create;
  create.set_sub("alice");
  create.add_grants("posts");
  create.set_ttl_s(60);
  ops::v1::MintedSession minted;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::CreateSession, create, &minted)), base::IsOk());
  EXPECT_FALSE(minted.token().empty());
  EXPECT_EQ(minted.proxy_address(), "127.0.0.1:3128");
  EXPECT_EQ(minted.session().expires_at(), clock_.UnixNow() + 60);

  ops::v1::RevokeRequest revoke;
  revoke.add_what()->set_kind(ops::v1::REVOKED_KIND_SESSION);
  revoke.mutable_what(0)->set_id(minted.session().sid());
  revoke.set_reason("leaked");
  edge_.AnswerCuts({.open = 3,
                    .uncut = 1,
                    .took = std::chrono::milliseconds(2),
                    .ends_within = std::chrono::seconds(75)});
  const Answers revoked = Revoke(revoke);
  ASSERT_THAT(FromGrpc(revoked.status), base::IsOk());
  ASSERT_EQ(revoked.events.size(), 2U) << "the acknowledgement comes by itself";
  EXPECT_TRUE(revoked.events[0].acknowledged().durable());
  EXPECT_EQ(revoked.events[1].streams().cut(), 2U);
  EXPECT_EQ(revoked.events[1].streams().uncut(), 1U);
  EXPECT_EQ(revoked.events[1].streams().took_us(), 2000);
  EXPECT_EQ(revoked.events[1].streams().ends_within_s(), 75U);

  ops::v1::ListRevocationsReply listed;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::ListRevocations, {}, &listed)), base::IsOk());
  ASSERT_EQ(listed.revocations_size(), 1);
  EXPECT_EQ(listed.revocations(0).what().kind(), ops::v1::REVOKED_KIND_SESSION);
  EXPECT_EQ(listed.revocations(0).what().id(), minted.session().sid());
  EXPECT_EQ(listed.revocations(0).reason(), "leaked");
  EXPECT_EQ(listed.not_stored(), 0U);

  ops::v1::GetSessionRequest get;
  get.set_sid(minted.session().sid());
  ops::v1::Session session;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetSession, get, &session)), base::IsOk());
  EXPECT_TRUE(session.revoked());
}

TEST_F(Service, ListsHowManyRevocationsARestartWouldForget) {
  store_.FailWith(base::MakeStatus(base::StatusCode::kUnavailable, "locked"));
  ops::v1::RevokeRequest request;
  for (const char* id : {"a", "b"}) {
    request.add_what()->set_kind(ops::v1::REVOKED_KIND_SESSION);
    request.mutable_what()->rbegin()->set_id(id);
  }
  request.add_what()->set_kind(ops::v1::REVOKED_KIND_ALL);
  const Answers revoked = Revoke(request);
  ASSERT_THAT(FromGrpc(revoked.status), base::IsOk());
  EXPECT_FALSE(revoked.events[0].acknowledged().durable());
  store_.FailWith(absl::OkStatus());
  ops::v1::ListRevocationsReply listed;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::ListRevocations, {}, &listed)), base::IsOk());
  EXPECT_EQ(listed.revocations_size(), 0);
  EXPECT_EQ(listed.not_stored(), 3U);
}

TEST_F(Service, SaysHowStreamsCanBeCut) {
  edge_.SetStatus({.stream_cutting = "pidfd_getfd", .cut_bound = std::chrono::seconds(75)});
  ops::v1::EdgeStatus status;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetStatus, {}, &status)), base::IsOk());
  EXPECT_EQ(status.stream_cutting(), "pidfd_getfd");
  EXPECT_EQ(status.cut_bound_s(), 75U);
}

TEST_F(Service, RefusesARevocationOfNoKind) {
  ops::v1::RevokeRequest request;
  request.add_what()->set_id("x");
  EXPECT_EQ(Revoke(request).status.error_code(), ::grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Revoke({}).status.error_code(), ::grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(denylist_.Read().size(), 0U);
}

TEST_F(Service, KeepsCodeAndMessageOfTheDesksErrors) {
  ops::v1::CreateSessionRequest create;
  create.set_sub("alice");
  create.add_grants("post");
  create.set_ttl_s(60);
  ops::v1::MintedSession minted;
  EXPECT_THAT(FromGrpc(Call(&Operator::Stub::CreateSession, create, &minted)),
              base::StatusSays(base::StatusCode::kInvalidArgument, "posts"));
}

TEST_F(Service, TellsDoctorWhereToWalk) {
  ops::v1::EdgeStatus status;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetStatus, {}, &status)), base::IsOk());
  ASSERT_EQ(status.destinations_size(), 1);
  EXPECT_EQ(status.destinations(0).method(), "POST");
  EXPECT_EQ(status.destinations(0).path(), "/v1");
  EXPECT_EQ(status.destinations(0).port(), 8443U);
  EXPECT_EQ(status.policy_revision(), 1U);
}

TEST_F(Service, NamesTheLastAuditRecordAndWhyThereCanBeNoMore) {
  ops::v1::EdgeStatus status;
  for (std::uint64_t seq = 1; seq <= 2; ++seq) {
    ASSERT_THAT(log_->Append({}), base::IsOk());
    ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetStatus, {}, &status)), base::IsOk());
    EXPECT_EQ(status.audit_seq(), seq);
    EXPECT_EQ(status.audit_head(), log_->Head().hash);
    EXPECT_EQ(status.audit_dir(), directory_.path() + "/audit");
    EXPECT_EQ(status.audit_problem(), "");
  }
  std::filesystem::resize_file(directory_.path() + "/audit/audit.jsonl", 10);
  (void)log_->Append({});
  EXPECT_THAT(log_->Sync(), base::StatusIs(base::StatusCode::kDataLoss));
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetStatus, {}, &status)), base::IsOk());
  EXPECT_THAT(status.audit_problem(), ::testing::HasSubstr("audit.jsonl"));
  ops::v1::GetMetricsReply metrics;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::GetMetrics, {}, &metrics)), base::IsOk());
  EXPECT_THAT(metrics.text(), ::testing::HasSubstr("exeat_audit_tampered 1"));
}

TEST_F(Service, ExplainsForASession) {
  const auto minted = sessions_->Create({"alice", {"posts"}, std::chrono::seconds(60)});
  ASSERT_THAT(minted, base::IsOk());
  ops::v1::WhyRequest request;
  request.set_sid(minted->session.row.sid);
  request.set_method("POST");
  request.set_url("https://posts.test:8443/v2");
  ops::v1::WhyReply reply;
  ASSERT_THAT(FromGrpc(Call(&Operator::Stub::Why, request, &reply)), base::IsOk());
  EXPECT_FALSE(reply.allowed());
  EXPECT_FALSE(reply.text().empty());
}

TEST_F(Service, TailsFromARecordOnAndEnds) {
  for (int i = 0; i < 3; ++i) ASSERT_THAT(log_->Append({}), base::IsOk());
  ::grpc::ClientContext call;
  call.AddMetadata(ops::kAccessHeader, "s3cret");
  ops::v1::TailAuditRequest request;
  request.set_from_seq(2);
  const auto reader = stub_->TailAudit(&call, request);
  ops::v1::AuditLine line;
  ASSERT_TRUE(reader->Read(&line));
  EXPECT_THAT(line.line(), ::testing::HasSubstr("\"seq\":2"));
  ASSERT_TRUE(reader->Read(&line));
  EXPECT_THAT(line.line(), ::testing::HasSubstr("\"seq\":3"));
  EXPECT_FALSE(reader->Read(&line));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(Service, FollowsNewRecordsUntilItIsStopped) {
  ::grpc::ClientContext call;
  call.AddMetadata(ops::kAccessHeader, "s3cret");
  ops::v1::TailAuditRequest request;
  request.set_follow(true);
  const auto reader = stub_->TailAudit(&call, request);
  ASSERT_THAT(log_->Append({}), base::IsOk());
  ops::v1::AuditLine line;
  ASSERT_TRUE(reader->Read(&line));
  service_->Stop();
  EXPECT_FALSE(reader->Read(&line));
  EXPECT_TRUE(reader->Finish().ok());
}

}  // namespace
}  // namespace exeat::rpc
