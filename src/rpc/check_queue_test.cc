#include "rpc/check_queue.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::Authorization;
using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;

std::string MakeDirectory() {
  std::string directory = std::filesystem::temp_directory_path() / "check-queue-XXXXXX";
  return mkdtemp(directory.data()) == nullptr ? std::string() : directory;
}

// A queue on a Unix socket, composed and ended as control does.
class Served {
 public:
  explicit Served(CheckQueue::Answer answer, int threads = 1) : queue_(std::move(answer)) {
    const std::string address = "unix:" + directory_ + "/check.sock";
    ::grpc::ServerBuilder builder;
    builder.AddListeningPort(address, ::grpc::InsecureServerCredentials());
    queue_.Register(builder, threads);
    server_ = builder.BuildAndStart();
    queue_.Start();
    stub_ = Authorization::NewStub(
        ::grpc::CreateChannel(address, ::grpc::InsecureChannelCredentials()));
  }
  ~Served() {
    Shutdown();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  void Shutdown() {
    server_->Shutdown(base::SystemClock().WallNow());
    queue_.Wait();
  }

  // The path that comes back, or nullopt when the call failed.
  std::optional<std::string> Ask(const std::string& path,
                                 std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    ::grpc::ClientContext context;
    context.set_deadline(base::SystemClock().WallNow() + patience);
    CheckRequest request;
    request.mutable_attributes()->mutable_request()->mutable_http()->set_path(path);
    CheckResponse response;
    if (!stub_->Check(&context, request, &response).ok()) return std::nullopt;
    return response.denied_response().body();
  }

 private:
  const std::string directory_ = MakeDirectory();
  CheckQueue queue_;
  std::unique_ptr<::grpc::Server> server_;
  std::unique_ptr<Authorization::Stub> stub_;
};

void Echo(const CheckRequest& request, CheckResponse& response) {
  response.mutable_denied_response()->set_body(request.attributes().request().http().path());
}

TEST(CheckQueue, AnswersMoreCallsThanItKeepsWaitingAndNeverAnothersAnswer) {
  Served served(Echo, 2);
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> guests;
    for (int guest = 0; guest < 8; ++guest) {
      guests.emplace_back([&, guest] {
        for (int i = 0; i < 50; ++i) {
          const std::string path = "/" + std::to_string(guest) + "/" + std::to_string(i);
          if (served.Ask(path) == path) ++right;
        }
      });
    }
  }
  EXPECT_EQ(right, 8 * 50);
}

TEST(CheckQueue, AnswersRequestsThatOutgrowTheBlockOfTheirCall) {
  Served served(Echo);
  const std::string large(200'000, 'x');
  EXPECT_EQ(served.Ask(large), large);
  EXPECT_EQ(served.Ask("/small"), "/small");
}

TEST(CheckQueue, StartsEachAnswerEmptyWhichDenies) {
  int calls = 0;
  Served served([&](const CheckRequest& request, CheckResponse& response) {
    EXPECT_FALSE(response.has_ok_response());
    if (++calls == 1) response.mutable_ok_response();
    if (calls > 1) Echo(request, response);
  });
  EXPECT_EQ(served.Ask("/first"), "");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(served.Ask("/next"), "/next");
}

TEST(CheckQueue, ForgetsACallWhoseCallerWentAway) {
  base::Mutex mutex;
  base::CondVar changed;
  bool held = true;
  Served served([&](const CheckRequest& request, CheckResponse& response) {
    if (request.attributes().request().http().path() == "/held") {
      base::MutexLock lock(mutex);
      while (held) changed.Wait(mutex);
    }
    Echo(request, response);
  });
  EXPECT_EQ(served.Ask("/held", std::chrono::milliseconds(20)), std::nullopt);
  {
    base::MutexLock lock(mutex);
    held = false;
  }
  changed.NotifyAll();
  EXPECT_EQ(served.Ask("/after"), "/after");
}

TEST(CheckQueue, RefusesOnceTheServerIsShutDown) {
  Served served(Echo);
  EXPECT_EQ(served.Ask("/before"), "/before");
  served.Shutdown();
  EXPECT_EQ(served.Ask("/after", std::chrono::seconds(1)), std::nullopt);
}

TEST(CheckQueue, EndsInTheMiddleOfALoad) {
  for (int round = 0; round < 20; ++round) {
    Served served(Echo, 2);
    ASSERT_EQ(served.Ask("/x"), "/x");
    std::atomic<bool> begun{false};
    std::jthread guest([&] {
      while (served.Ask("/x", std::chrono::seconds(5)) == "/x") begun = true;
      begun = true;
    });
    while (!begun) std::this_thread::yield();
    served.Shutdown();
  }
}

TEST(CheckQueue, MayBeRegisteredAndNeverServed) {
  CheckQueue queue(Echo);
  ::grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:/nowhere/at/all.sock", ::grpc::InsecureServerCredentials());
  queue.Register(builder);
  EXPECT_EQ(builder.BuildAndStart(), nullptr);
}

}  // namespace
}  // namespace exeat::rpc
