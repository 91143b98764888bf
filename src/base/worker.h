// One thread that owns something, and a bounded queue of work for it.
//
// Purpose:   the store and whatever else must have one writer; callers never wait for each other's
//            work unless they ask for a result.
// Errors:    kResourceExhausted the queue is full: nothing was queued, the caller denies;
//            kUnavailable the worker is ending; kInternal a task threw, or asked its own worker and
//            would have waited for itself.
// Threads:   methods are safe concurrently. Tasks run one at a time in the order they were queued.
//            The destructor runs what was queued before it, then ends the thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/mutex.h"
#include "base/status.h"

namespace exeat::base {

class Worker {
 public:
  explicit Worker(std::size_t capacity);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Queues `task` and returns at once.
  Status TryPost(std::function<void()> task);

  // Queues `task`, which returns a Status or a StatusOr, and waits for what it returns. Never
  // waits for room in the queue.
  template <class Task>
  std::invoke_result_t<Task> Call(Task task) {
    using Result = std::invoke_result_t<Task>;
    static_assert(std::is_constructible_v<Result, Status>, "a task returns Status or StatusOr");
    std::optional<Result> result;
    Status ran = RunAndWait([&result, &task] { result.emplace(task()); });
    if (!ran.ok()) return Result(std::move(ran));
    return *std::move(result);
  }

 private:
  Status RunAndWait(const std::function<void()>& task);
  void Loop();

  const std::size_t capacity_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mutex_);
  bool ending_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace exeat::base
