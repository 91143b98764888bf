#include "services.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "guardian/confine.h"
#include "guardian/socket_path.h"

namespace exeat {
namespace {

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

EnvoyServer::EnvoyServer(rpc::AuthzServer& authz)
    : checks_([&authz](const auto& request, auto& response) { authz.Answer(request, response); }) {}

EnvoyServer::~EnvoyServer() { Shutdown(std::chrono::system_clock::now()); }

void EnvoyServer::Shutdown(std::chrono::system_clock::time_point deadline) {
  if (server_ == nullptr) return;
  server_->Shutdown(deadline);
  checks_.Wait();
}

base::StatusOr<std::unique_ptr<EnvoyServer>> ServeEnvoy(const std::string& socket,
                                                        std::uint32_t owner, rpc::AdsServer& ads,
                                                        rpc::AuthzServer& authz,
                                                        rpc::AccessLogServer& access_log) {
  auto served = std::make_unique<EnvoyServer>(authz);
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

base::StatusOr<std::unique_ptr<::grpc::Server>> ServeOperator(const std::string& socket,
                                                              rpc::OperatorService& service) {
  ::grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  ASSIGN_OR_RETURN(auto server, Serve(builder, socket));
  if (chmod(socket.c_str(), 0600) != 0) return base::ErrnoStatus(errno, socket);
  return server;
}

}  // namespace exeat
