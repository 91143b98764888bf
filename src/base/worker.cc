#include "base/worker.h"

#include <exception>
#include <string>

#include "base/log.h"

namespace exeat::base {

Worker::Worker(std::size_t capacity) : capacity_(capacity), thread_([this] { Loop(); }) {}

Worker::~Worker() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  wake_.NotifyAll();
}

Status Worker::TryPost(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (ending_) return MakeStatus(StatusCode::kUnavailable, "the worker is ending");
    if (queue_.size() >= capacity_) {
      return MakeStatus(StatusCode::kResourceExhausted, "the worker's queue is full; try again");
    }
    queue_.push_back(std::move(task));
  }
  wake_.NotifyOne();
  return absl::OkStatus();
}

Status Worker::RunAndWait(const std::function<void()>& task) {
  if (std::this_thread::get_id() == thread_.get_id()) {
    return MakeStatus(StatusCode::kInternal, "a worker's task waited for its own worker");
  }
  Mutex done_mutex;
  CondVar done_changed;
  bool done = false;
  Status outcome;
  RETURN_IF_ERROR(TryPost([&] {
    Status ran;
    try {
      task();
    } catch (const std::exception& error) {
      ran =
          MakeStatus(StatusCode::kInternal, std::string("a worker's task threw: ") + error.what());
    }
    // Notified under the lock: the waiter owns these and may be gone the moment it is let go.
    MutexLock lock(done_mutex);
    outcome = std::move(ran);
    done = true;
    done_changed.NotifyOne();
  }));
  MutexLock lock(done_mutex);
  while (!done) done_changed.Wait(done_mutex);
  return outcome;
}

void Worker::Loop() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !ending_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      task();
    } catch (const std::exception& error) {
      LogError("a worker's task threw", {{"error", error.what()}});
    }
  }
}

}  // namespace exeat::base
