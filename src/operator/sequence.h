// How far this edge has come in the changes of a shared store, for those who wait for it.
//
// Units:    a change's sequence number; timeouts in milliseconds.
// Threads:  safe concurrently.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/mutex.h"

namespace exeat::ops {

class Sequence {
 public:
  // Everything up to `seq` is in force here. After a reading of everything it may be less.
  void Came(std::uint64_t seq);
  std::uint64_t applied() const;
  // False when `patience` has passed first.
  bool Await(std::uint64_t seq, std::chrono::milliseconds patience) const;

  // Asks for a reading of everything, and waits for one that began after this.
  bool AwaitReading(std::chrono::milliseconds patience);
  // What is asked for now; 0: nothing that was not answered.
  std::uint64_t asked() const;
  // A reading that began when that was asked has ended well.
  void Answered(std::uint64_t asked);

 private:
  template <class Reached>
  bool WaitLocked(Reached reached, std::chrono::milliseconds patience) const REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  mutable base::CondVar changed_;
  std::uint64_t applied_ GUARDED_BY(mutex_) = 0;
  std::uint64_t asked_ GUARDED_BY(mutex_) = 0;
  std::uint64_t answered_ GUARDED_BY(mutex_) = 0;
};

}  // namespace exeat::ops
