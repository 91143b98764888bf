// A bucket that holds a minute's worth and refills evenly.
//
// Units:    tokens; time on the boot clock, given by the caller.
// Threads:  none of its own.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace exeat::limits {

class TokenBucket {
 public:
  TokenBucket(double per_minute, base::BootTime now)
      : per_minute_(per_minute), tokens_(per_minute), refilled_(now) {}

  // False when there is none to take.
  bool Take(base::BootTime now) {
    const double minutes = std::chrono::duration<double, std::ratio<60>>(now - refilled_).count();
    tokens_ = std::min(per_minute_, tokens_ + minutes * per_minute_);
    refilled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // When it was last asked; a minute later it is full again.
  base::BootTime last_asked() const { return refilled_; }

 private:
  double per_minute_;
  double tokens_;
  base::BootTime refilled_;
};

}  // namespace exeat::limits
