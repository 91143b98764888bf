// Checks, revokes and restores at once, through the calls that Envoy and an operator make; what was
// recorded of them must be linearizable.
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "audit/testing/fake_log.h"
#include "authz/testing/small_edge.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "operator/revocations.h"
#include "revocation/testing/history.h"
#include "rpc/authz_server.h"
#include "rpc/check_queue.h"
#include "store/store.h"
#include "store/testing/private_directory.h"

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::Authorization;
using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;
using revocation::Kind;
using revocation::Operation;
using store::RevokedKind;
using What = Operation::What;

// Publishes a snapshot when it is told to, as the running edge does; has no streams.
class PublishingEdge final : public ops::Edge {
 public:
  explicit PublishingEdge(const authz::SmallEdge& small) : small_(small) { DenylistChanged(); }

  std::shared_ptr<const authz::Snapshot> snapshot() const { return published_.Get(); }
  authz::Snapshot Current() const override { return *snapshot(); }
  void DenylistChanged() override {
    base::MutexLock lock(mutex_);
    published_.Set(std::make_shared<const authz::Snapshot>(small_.Read()));
  }
  std::unique_ptr<ops::Cut> CutStreams(limits::Whose) override { return std::make_unique<NoCut>(); }
  base::Status Publish(policy::PolicyPtr, std::uint64_t) override { return absl::OkStatus(); }
  base::Status PublishKeys() override { return absl::OkStatus(); }
  ops::EdgeStatus Status() const override { return {}; }
  std::string CaCertificate() const override { return {}; }

 private:
  class NoCut final : public ops::Cut {
    ops::CutReport Wait(std::chrono::milliseconds) override { return {}; }
    std::size_t vetted() const override { return 0; }
  };
  const authz::SmallEdge& small_;
  base::Mutex mutex_;
  base::Published<std::shared_ptr<const authz::Snapshot>> published_;
};

struct Session {
  const char* sid;
  const char* token;
};
constexpr std::array<Session, 3> kSessions{{{"a", "A"}, {"b", "B"}, {"g", "G"}}};

class RevocationHistory : public testing::Test {
 protected:
  static constexpr int kGuests = 4;
  static constexpr int kChecks = 2000;  // of each
  static constexpr int kOperators = 3;

  RevocationHistory() {
    const std::string address = "unix:" + directory_.path() + "/check.sock";
    ::grpc::ServerBuilder builder;
    builder.AddListeningPort(address, ::grpc::InsecureServerCredentials());
    queue_.Register(builder, 2);
    server_ = builder.BuildAndStart();
    queue_.Start();
    stub_ = Authorization::NewStub(
        ::grpc::CreateChannel(address, ::grpc::InsecureChannelCredentials()));
    EXPECT_THAT(desk_.Load(), base::IsOk());
  }
  ~RevocationHistory() override {
    server_->Shutdown();
    queue_.Wait();
  }

  struct Recorded {
    std::size_t session = 0;
    Operation operation;
  };
  using Random = std::minstd_rand;

  template <class Act>
  void Record(std::vector<Recorded>& history, std::size_t session, Operation operation, Act act) {
    operation.begin = moment_.fetch_add(1);
    operation.yes = act();
    operation.end = moment_.fetch_add(1);
    history.push_back({session, operation});
  }

  bool Ask(const Session& session, const std::string& id) {
    CheckRequest request;
    auto* http = request.mutable_attributes()->mutable_request()->mutable_http();
    http->set_method("CONNECT");
    http->set_host("open.test:443");
    for (const auto& [key, value] :
         {std::pair<std::string, std::string>{"proxy-authorization",
                                              std::string("Bearer ") + session.token},
          {"x-request-id", id}}) {
      auto* header = http->mutable_header_map()->add_headers();
      header->set_key(key);
      header->set_raw_value(value);
    }
    ::grpc::ClientContext context;
    CheckResponse response;
    EXPECT_TRUE(stub_->Check(&context, request, &response).ok());
    return response.has_ok_response();
  }

  void BeGuest(unsigned seed, std::vector<Recorded>& history) {
    Random random(seed);
    for (int i = 0; i < kChecks; ++i) {
      const std::size_t session = random() % kSessions.size();
      const std::string id = std::to_string(seed) + "-" + std::to_string(i);
      Record(history, session, {}, [&] { return Ask(kSessions[session], id); });
    }
    --guests_;
  }

  ops::RevocationRequest RequestFor(const Session& session, Kind kind) {
    switch (kind) {
      case Kind::kTokenId:
        return {RevokedKind::kTokenId, std::string("jti-") + session.sid, ""};
      case Kind::kSubject:
        return {RevokedKind::kSubject, std::string("sub-") + session.sid, ""};
      case Kind::kSession:
        break;
    }
    return {RevokedKind::kSession, session.sid, ""};
  }

  void BeOperator(unsigned seed, std::vector<Recorded>& history) {
    Random random(seed);
    while (guests_ > 0) {
      const std::size_t session = random() % kSessions.size();
      const Kind kind = random() % 3 == 0 ? Kind::kSubject : Kind::kSession;
      const ops::RevocationRequest request = RequestFor(kSessions[session], kind);
      if (random() % 2 == 0) {
        Record(history, session, {What::kRevoke, kind}, [&] {
          const auto revoked = desk_.Revoke(request);
          EXPECT_TRUE(revoked.ok() && revoked->durable);
          return true;
        });
      } else {
        Record(history, session, {What::kRestore, kind}, [&] {
          const base::Status restored = desk_.Restore(request);
          EXPECT_TRUE(restored.ok() || restored.code() == base::StatusCode::kNotFound) << restored;
          return restored.ok();
        });
      }
    }
  }

  authz::SmallEdge small_;
  PublishingEdge edge_{small_};
  store::PrivateDirectory directory_;
  std::unique_ptr<store::Store> store_ = store::OpenSqlite(directory_.path() + "/exeat.db").value();
  audit::FakeLog audit_;
  ops::Metrics metrics_;
  base::FakeClock clock_;
  base::Worker worker_{64};
  ops::Recorder recorder_{audit_, metrics_, [] { return 1; }};
  ops::RevocationDesk desk_{{edge_, small_.denylist, *store_, worker_, recorder_, metrics_, clock_},
                            {}};
  const AuthzServer authz_{
      {.snapshot = [this] { return edge_.snapshot(); },
       .record = [](const audit::Event&) { return absl::OkStatus(); },
       .admit_name = [](std::string_view, std::string_view) { return true; },
       .observe = [](authz::Leg, const authz::Verdict&, std::chrono::nanoseconds) {},
       .connected = [](const Connection&, std::string_view) {},
       .begin = [](std::string_view, std::string_view,
                   limits::OpenStream) { return limits::Begun::kOpen; },
       .end = [](std::string_view) {}},
      clock_};
  CheckQueue queue_{[this](const CheckRequest& request, CheckResponse& response) {
    authz_.Answer(request, response);
  }};
  std::unique_ptr<::grpc::Server> server_;
  std::unique_ptr<Authorization::Stub> stub_;
  std::atomic<std::uint64_t> moment_{1};
  std::atomic<int> guests_{kGuests};
};

TEST_F(RevocationHistory, IsLinearizable) {
  std::array<std::vector<Recorded>, kGuests + kOperators> histories;
  {
    std::vector<std::jthread> everybody;
    for (unsigned i = 0; i < histories.size(); ++i) {
      everybody.emplace_back([this, i, &mine = histories[i]] {
        if (i < kGuests) BeGuest(i + 1, mine);
        if (i >= kGuests) BeOperator(i + 1, mine);
      });
    }
  }
  std::array<std::vector<Operation>, kSessions.size()> sessions;
  for (const auto& history : histories) {
    for (const Recorded& recorded : history) {
      sessions[recorded.session].push_back(recorded.operation);
    }
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    EXPECT_EQ(revocation::History(sessions[i]).FirstMisfit(), std::nullopt) << kSessions[i].sid;
  }
  EXPECT_EQ(small_.denylist.Read().size(), store_->ListRevocations()->size());
}

}  // namespace
}  // namespace exeat::rpc
