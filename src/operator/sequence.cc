#include "operator/sequence.h"

#include <algorithm>

#include "base/clock.h"

namespace exeat::ops {

template <class Reached>
bool Sequence::WaitLocked(Reached reached, std::chrono::milliseconds patience) const {
  const base::BootTime deadline = base::SystemClock().BootNow() + patience;
  while (!reached()) {
    const base::BootTime left = deadline - base::SystemClock().BootNow();
    if (left <= base::BootTime(0)) return false;
    changed_.WaitFor(mutex_, left);
  }
  return true;
}

void Sequence::Came(std::uint64_t seq) {
  base::MutexLock lock(mutex_);
  applied_ = seq;
  changed_.NotifyAll();
}

std::uint64_t Sequence::applied() const {
  base::MutexLock lock(mutex_);
  return applied_;
}

bool Sequence::Await(std::uint64_t seq, std::chrono::milliseconds patience) const {
  base::MutexLock lock(mutex_);
  return WaitLocked([&]() NO_THREAD_SAFETY_ANALYSIS { return applied_ >= seq; }, patience);
}

bool Sequence::AwaitReading(std::chrono::milliseconds patience) {
  base::MutexLock lock(mutex_);
  const std::uint64_t mine = ++asked_;
  return WaitLocked([&]() NO_THREAD_SAFETY_ANALYSIS { return answered_ >= mine; }, patience);
}

std::uint64_t Sequence::asked() const {
  base::MutexLock lock(mutex_);
  return asked_ > answered_ ? asked_ : 0;
}

void Sequence::Answered(std::uint64_t asked) {
  base::MutexLock lock(mutex_);
  answered_ = std::max(answered_, asked);
  changed_.NotifyAll();
}

}  // namespace exeat::ops
