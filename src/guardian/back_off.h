// How long to wait before something that ended is started again.
//
// Why here:  control and Envoy are restarted by one rule.
// Threads:   one.
#pragma once

#include <algorithm>
#include <chrono>

namespace exeat::guardian {

class BackOff {
 public:
  BackOff(std::chrono::nanoseconds first, std::chrono::nanoseconds longest,
          std::chrono::nanoseconds healthy_after)
      : first_(first), longest_(longest), healthy_after_(healthy_after), next_(first) {}

  // The wait after an end: none the first time, then `first` doubling up to `longest`. A life that
  // was healthy for `healthy_after` makes the next end a first one again.
  std::chrono::nanoseconds AfterEnd(std::chrono::nanoseconds healthy_for) {
    if (healthy_for >= healthy_after_) Reset();
    if (!ended_before_) {
      ended_before_ = true;
      return std::chrono::nanoseconds(0);
    }
    const auto wait = next_;
    next_ = std::min(longest_, next_ * 2);
    return wait;
  }

  void Reset() {
    ended_before_ = false;
    next_ = first_;
  }

 private:
  std::chrono::nanoseconds first_;
  std::chrono::nanoseconds longest_;
  std::chrono::nanoseconds healthy_after_;
  std::chrono::nanoseconds next_;
  bool ended_before_ = false;
};

}  // namespace exeat::guardian
