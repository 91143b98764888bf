// ext_authz served in the ways that benchmarks compare: from a queue, as exeat does, or by gRPC's
// callbacks; with whatever answer.
//
// Threads:  the queue's own, or gRPC's.
// Source:   docs/benchmarks.md
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <utility>

#include "envoy/service/auth/v3/external_auth.grpc.pb.h"
#include "rpc/check_queue.h"

namespace exeat::bench {

using CheckRequest = ::envoy::service::auth::v3::CheckRequest;
using CheckResponse = ::envoy::service::auth::v3::CheckResponse;

// What a null server says to everything: allowed, nothing changed.
inline void AllowAll(const CheckRequest&, CheckResponse& response) {
  response.mutable_status()->set_code(0);
  response.mutable_ok_response();
}

enum class Style { kQueue, kCallback };

class CheckService {
 public:
  CheckService(Style style, rpc::CheckQueue::Answer answer)
      : style_(style), queue_(answer), callbacks_(std::move(answer)) {}
  ~CheckService() { Shutdown(); }

  // False when the socket cannot be bound. Other services may stand in `builder` already.
  bool Serve(::grpc::ServerBuilder& builder, const std::string& socket) {
    builder.AddListeningPort("unix:" + socket, ::grpc::InsecureServerCredentials());
    if (style_ == Style::kQueue) queue_.Register(builder);
    if (style_ == Style::kCallback) builder.RegisterService(&callbacks_);
    server_ = builder.BuildAndStart();
    if (server_ != nullptr) queue_.Start();
    return server_ != nullptr;
  }
  void Shutdown() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    queue_.Wait();
  }

 private:
  class Callbacks final : public ::envoy::service::auth::v3::Authorization::CallbackService {
   public:
    explicit Callbacks(rpc::CheckQueue::Answer answer) : answer_(std::move(answer)) {}
    ::grpc::ServerUnaryReactor* Check(::grpc::CallbackServerContext* context,
                                      const CheckRequest* request,
                                      CheckResponse* response) override {
      auto* reactor = context->DefaultReactor();
      answer_(*request, *response);
      reactor->Finish(::grpc::Status::OK);
      return reactor;
    }

   private:
    const rpc::CheckQueue::Answer answer_;
  };

  const Style style_;
  rpc::CheckQueue queue_;
  Callbacks callbacks_;
  std::unique_ptr<::grpc::Server> server_;
};

}  // namespace exeat::bench
