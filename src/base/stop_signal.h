// The end of a thread that works, pauses and works again: it does not wait for the pause.
//
// Threads:  safe concurrently.
#pragma once

#include <chrono>
#include <utility>

#include "base/mutex.h"

namespace exeat::base {

class StopSignal {
 public:
  // Returns false as soon as the end is asked for. May return true before the pause is over.
  bool Pause(std::chrono::milliseconds pause) {
    MutexLock lock(mutex_);
    if (!stopping_) stopped_.WaitFor(mutex_, pause);
    return !stopping_;
  }
  // False when it was asked for already.
  bool Stop() {
    MutexLock lock(mutex_);
    stopped_.NotifyAll();
    return !std::exchange(stopping_, true);
  }

 private:
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace exeat::base
