// A clock that stands still until a test moves it.
#pragma once

#include "base/clock.h"
#include "base/mutex.h"

namespace exeat::base {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(UnixSeconds start = 1'800'000'000) : wall_(std::chrono::seconds(start)) {}

  std::chrono::system_clock::time_point WallNow() const override {
    MutexLock lock(mutex_);
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(wall_));
  }
  BootTime BootNow() const override {
    MutexLock lock(mutex_);
    return boot_;
  }
  // Moves both clocks.
  void Advance(std::chrono::nanoseconds step) {
    MutexLock lock(mutex_);
    wall_ += step;
    boot_ += step;
  }
  // Moves the wall clock alone, as an operator or NTP may.
  void StepWall(std::chrono::nanoseconds step) {
    MutexLock lock(mutex_);
    wall_ += step;
  }

 private:
  mutable Mutex mutex_;
  std::chrono::nanoseconds wall_ GUARDED_BY(mutex_);
  BootTime boot_ GUARDED_BY(mutex_){std::chrono::hours(1)};
};

}  // namespace exeat::base
