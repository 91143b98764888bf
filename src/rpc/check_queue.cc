#include "rpc/check_queue.h"

#include <google/protobuf/arena.h>
#include <grpcpp/support/async_unary_call.h>

#include <array>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;
using ::google::protobuf::Arena;

// More than an Envoy has in flight on one core, so that a burst seldom waits for a free call.
constexpr int kCalls = 64;
constexpr std::size_t kArenaBlock = std::size_t{16} << 10;

::google::protobuf::ArenaOptions Within(std::array<char, kArenaBlock>& block) {
  ::google::protobuf::ArenaOptions options;
  options.initial_block = block.data();
  options.initial_block_size = block.size();
  return options;
}

}  // namespace

// Waits for a request, answers it, and waits again. Both messages live in a block of its own.
class CheckQueue::Call {
 public:
  Call(CheckQueue& owner, ::grpc::ServerCompletionQueue& queue)
      : owner_(owner), queue_(queue), arena_(Within(block_)) {}

  void Await() {
    answering_ = false;
    wire_.reset();
    arena_.Reset();
    wire_.emplace();
    request_ = Arena::CreateMessage<CheckRequest>(&arena_);
    owner_.service_.RequestCheck(&wire_->context, request_, &wire_->responder, &queue_, &queue_,
                                 this);
  }

  // False when the server is shutting down and this call has ended for good.
  bool Advance(bool ok) {
    if (answering_) {
      Await();
      return true;
    }
    if (!ok) return false;
    answering_ = true;
    auto* response = Arena::CreateMessage<CheckResponse>(&arena_);
    owner_.answer_(*request_, *response);
    wire_->responder.Finish(*response, ::grpc::Status::OK, this);
    return true;
  }

 private:
  struct Wire {
    Wire() : responder(&context) {}
    ::grpc::ServerContext context;
    ::grpc::ServerAsyncResponseWriter<CheckResponse> responder;
  };

  CheckQueue& owner_;
  ::grpc::ServerCompletionQueue& queue_;
  std::array<char, kArenaBlock> block_;
  Arena arena_;
  std::optional<Wire> wire_;
  CheckRequest* request_ = nullptr;
  bool answering_ = false;
};

class CheckQueue::Loop {
 public:
  Loop(CheckQueue& owner, std::unique_ptr<::grpc::ServerCompletionQueue> queue)
      : owner_(owner), queue_(std::move(queue)) {}
  ~Loop() { Wait(); }

  void Start() {
    calls_.reserve(kCalls);
    for (int i = 0; i < kCalls; ++i) calls_.push_back(std::make_unique<Call>(owner_, *queue_));
    thread_ = std::jthread([this] { Run(); });
  }
  void Wait() {
    if (thread_.joinable()) thread_.join();
    if (std::exchange(drained_, true)) return;
    // gRPC wants the server ended before its queue, and the queue empty before it goes.
    queue_->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) {
    }
  }

 private:
  // Ends with the last call, which the server's shutdown ends: nothing more is asked of the queue.
  void Run() {
    for (const auto& call : calls_) call->Await();
    void* tag = nullptr;
    bool ok = false;
    for (std::size_t waiting = calls_.size(); waiting > 0 && queue_->Next(&tag, &ok);) {
      if (!static_cast<Call*>(tag)->Advance(ok)) --waiting;
    }
  }

  CheckQueue& owner_;
  const std::unique_ptr<::grpc::ServerCompletionQueue> queue_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::jthread thread_;
  bool drained_ = false;
};

CheckQueue::CheckQueue(Answer answer) : answer_(std::move(answer)) {}
CheckQueue::~CheckQueue() = default;

void CheckQueue::Register(::grpc::ServerBuilder& builder, int threads) {
  builder.RegisterService(&service_);
  for (int i = 0; i < threads; ++i) {
    loops_.push_back(std::make_unique<Loop>(*this, builder.AddCompletionQueue()));
  }
}

void CheckQueue::Start() {
  for (const auto& loop : loops_) loop->Start();
}

void CheckQueue::Wait() {
  for (const auto& loop : loops_) loop->Wait();
}

}  // namespace exeat::rpc
