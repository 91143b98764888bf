// Serves ext_authz from completion queues, one thread each.
//
// Why here:  every request of every guest waits for this call, and a queue that one thread empties
//            costs less a call than gRPC's callbacks, whose threads wake each other
//            (docs/benchmarks.md).
// Order:     Register before the server is built, Start after; the server's Shutdown ends the
//            threads; Wait for them before the server is destroyed.
// Shapes:    a fixed number of calls, each used again: further ones wait inside gRPC.
// Threads:   `answer` runs on the queues' threads, concurrently when there is more than one; it
//            must not throw.
#pragma once

#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <vector>

#include "envoy/service/auth/v3/external_auth.grpc.pb.h"

namespace exeat::rpc {

class CheckQueue {
 public:
  // Fills a response that is empty, which Envoy takes for a denial.
  using Answer = std::function<void(const ::envoy::service::auth::v3::CheckRequest&,
                                    ::envoy::service::auth::v3::CheckResponse&)>;
  explicit CheckQueue(Answer answer);
  ~CheckQueue();
  CheckQueue(const CheckQueue&) = delete;
  CheckQueue& operator=(const CheckQueue&) = delete;

  void Register(::grpc::ServerBuilder& builder, int threads = 1);
  void Start();
  void Wait();

 private:
  class Call;
  class Loop;
  const Answer answer_;
  ::envoy::service::auth::v3::Authorization::AsyncService service_;
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace exeat::rpc
