// The gRPC servers of control: one socket for Envoy, one for the operator.
//
// Errors:   kUnavailable a socket that cannot be bound, naming it.
// Threads:  gRPC's own, and those of the check queue. Whatever thread of this process waits in gRPC
//           for bytes is woken in turn with all others that do, for every event: a request of a
//           guest pays for each. So the operator's threads do not wait for bytes.
#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/server.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/status.h"
#include "rpc/accesslog_server.h"
#include "rpc/ads_server.h"
#include "rpc/authz_server.h"
#include "rpc/check_queue.h"
#include "rpc/connection_check.h"
#include "rpc/operator_service.h"

namespace exeat {

class EnvoyServer {
 public:
  EnvoyServer(rpc::AuthzServer& authz, rpc::ConnectionCheck& connections);
  ~EnvoyServer();
  // Ends every call, the latest at `deadline`.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  friend base::StatusOr<std::unique_ptr<EnvoyServer>> ServeEnvoy(const std::string&, std::uint32_t,
                                                                 rpc::AdsServer&, rpc::AuthzServer&,
                                                                 rpc::ConnectionCheck&,
                                                                 rpc::AccessLogServer&);
  rpc::CheckQueue checks_;
  std::unique_ptr<::grpc::Server> server_;
};

class OperatorServer {
 public:
  OperatorServer() = default;
  ~OperatorServer();
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  friend base::StatusOr<std::unique_ptr<OperatorServer>> ServeOperator(const std::string&,
                                                                       rpc::OperatorService&);
  void Poll(const std::stop_token& stop);

  std::unique_ptr<::grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<::grpc::Server> server_;
  std::jthread poller_;
  bool ended_ = false;
};

// `owner` is the uid that Envoy runs as, given the socket when this process is root.
base::StatusOr<std::unique_ptr<EnvoyServer>> ServeEnvoy(const std::string& socket,
                                                        std::uint32_t owner, rpc::AdsServer& ads,
                                                        rpc::AuthzServer& authz,
                                                        rpc::ConnectionCheck& connections,
                                                        rpc::AccessLogServer& access_log);
base::StatusOr<std::unique_ptr<OperatorServer>> ServeOperator(const std::string& socket,
                                                              rpc::OperatorService& service);

}  // namespace exeat
