#include "services.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "guardian/confine.h"
#include "guardian/socket_path.h"

namespace exeat {
namespace {

constexpr std::chrono::milliseconds kOperatorPoll{50};

base::StatusOr<std::unique_ptr<::grpc::Server>> Serve(::grpc::ServerBuilder& builder,
                                                      const std::string& socket) {
  RETURN_IF_ERROR(guardian::RemoveStaleSocket(socket));
  builder.AddListeningPort("unix:" + socket, ::grpc::InsecureServerCredentials());
  // Envoy's keepalive must not be mistaken for a flood.
  builder.AddChannelArgument("grpc.http2.max_ping_strikes", 0);
  builder.AddChannelArgument("grpc.http2.min_ping_interval_without_data_ms", 1000);
  auto server = builder.BuildAndStart();
  if (server == nullptr) {
    return base::MakeStatus(base::StatusCode::kUnavailable, socket + ": cannot be listened on");
  }
  return server;
}

}  // namespace

EnvoyServer::EnvoyServer(rpc::AuthzServer& authz, rpc::ConnectionCheck& connections)
    : checks_([&authz, &connections](const auto& request, auto& response) {
        if (rpc::ConnectionCheck::IsAsked(request)) {
          connections.Answer(request, response);
        } else {
          authz.Answer(request, response);
        }
      }) {}

EnvoyServer::~EnvoyServer() { Shutdown(base::SystemClock().WallNow()); }

void EnvoyServer::Shutdown(std::chrono::system_clock::time_point deadline) {
  if (server_ == nullptr) return;
  server_->Shutdown(deadline);
  checks_.Wait();
}

base::StatusOr<std::unique_ptr<EnvoyServer>> ServeEnvoy(const std::string& socket,
                                                        std::uint32_t owner, rpc::AdsServer& ads,
                                                        rpc::AuthzServer& authz,
                                                        rpc::ConnectionCheck& connections,
                                                        rpc::AccessLogServer& access_log) {
  auto served = std::make_unique<EnvoyServer>(authz, connections);
  ::grpc::ServerBuilder builder;
  builder.RegisterService(&ads);
  builder.RegisterService(&access_log);
  served->checks_.Register(builder);
  builder.SetMaxReceiveMessageSize(64 << 20);
  ASSIGN_OR_RETURN(served->server_, Serve(builder, socket));
  served->checks_.Start();
  RETURN_IF_ERROR(guardian::HandToEnvoy(socket, owner, owner));
  return served;
}

OperatorServer::~OperatorServer() { Shutdown(base::SystemClock().WallNow()); }

// Nothing ever arrives on the queue: it is there so that gRPC's threads leave the polling to it. In
// truth Envoy's server does that, for all sockets of the process; this is the stand-in.
void OperatorServer::Poll(const std::stop_token& stop) {
  void* tag = nullptr;
  bool ok = false;
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(kOperatorPoll);  // tidy: allow see above
    (void)queue_->AsyncNext(&tag, &ok, std::chrono::system_clock::time_point());
  }
}

void OperatorServer::Shutdown(std::chrono::system_clock::time_point deadline) {
  if (server_ != nullptr) server_->Shutdown(deadline);
  if (poller_.joinable()) {
    poller_.request_stop();
    poller_.join();
  }
  if (queue_ == nullptr || std::exchange(ended_, true)) return;
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
  }
}

base::StatusOr<std::unique_ptr<OperatorServer>> ServeOperator(const std::string& socket,
                                                              rpc::OperatorService& service) {
  auto served = std::make_unique<OperatorServer>();
  ::grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(ops::kMaxRequestBytes);
  served->queue_ = builder.AddCompletionQueue();
  ASSIGN_OR_RETURN(served->server_, Serve(builder, socket));
  served->poller_ = std::jthread([&it = *served](const std::stop_token& stop) { it.Poll(stop); });
  if (chmod(socket.c_str(), 0600) != 0) return base::ErrnoStatus(errno, socket);
  return served;
}

}  // namespace exeat
