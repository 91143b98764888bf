// A Log that keeps events in memory, with a switch that makes it fail: for the rooms below.
//
// Threads:  safe concurrently.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "base/mutex.h"

namespace exeat::audit {

class FakeLog final : public Log {
 public:
  base::StatusOr<std::uint64_t> Append(const Event& event) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    events_.push_back(event);
    return events_.size();
  }
  base::Status Sync() override {
    base::MutexLock lock(mutex_);
    return failure_;
  }
  std::uint64_t last_seq() const override {
    base::MutexLock lock(mutex_);
    return events_.size();
  }
  HeadRecord Head() const override { return {last_seq(), std::string(64, 'f')}; }
  base::Status Health() const override {
    base::MutexLock lock(mutex_);
    return failure_;
  }
  const std::string& directory() const override { return directory_; }

  // Append, Sync and Health answer `failure` until it is set ok again.
  void FailWith(base::Status failure) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(failure);
  }
  std::vector<Event> events() const {
    base::MutexLock lock(mutex_);
    return events_;
  }

 private:
  const std::string directory_;
  mutable base::Mutex mutex_;
  base::Status failure_ GUARDED_BY(mutex_);
  std::vector<Event> events_ GUARDED_BY(mutex_);
};

}  // namespace exeat::audit
