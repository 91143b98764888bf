// Time as an argument: the wall clock for expiry, CLOCK_BOOTTIME for windows and leases.
//
// Why here:  no code of ours but this reads a clock, so every rule about time is testable.
// Units:     wall time is UTC since the epoch; boot time counts from an unnamed start, goes on
//            through suspend and never back.
// Threads:   const methods are safe concurrently.
#pragma once

#include <chrono>
#include <cstdint>

namespace exeat::base {

using UnixSeconds = std::int64_t;           // UTC seconds since 1970, as in a JWT's exp
using BootTime = std::chrono::nanoseconds;  // CLOCK_BOOTTIME

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock with nanoseconds.
  virtual std::chrono::system_clock::time_point WallNow() const = 0;
  // Monotonic, counts suspend.
  virtual BootTime BootNow() const = 0;
  // Wall clock in whole seconds, rounded down; the machine's may lag by one tick of the kernel.
  virtual UnixSeconds UnixNow() const {
    return std::chrono::floor<std::chrono::seconds>(WallNow()).time_since_epoch().count();
  }
};

// Wall time by which something may be forgotten for good: it goes on with boot time from the lowest
// reading there was since this was made, so a clock that is set forward, and perhaps back again,
// takes nothing away early.
//
// Threads:  one thread at a time.
class LowestWall {
 public:
  explicit LowestWall(const Clock& clock)
      : clock_(clock), made_at_(clock.BootNow()), ahead_of_boot_(AheadOfBoot()) {}
  // Never more than the wall clock's.
  UnixSeconds UnixNow();
  // Boot time since this was made.
  BootTime Age() const { return clock_.BootNow() - made_at_; }

 private:
  std::chrono::nanoseconds AheadOfBoot() const;

  const Clock& clock_;
  const BootTime made_at_;
  std::chrono::nanoseconds ahead_of_boot_;  // the wall clock, at its lowest
};

// The machine's own clocks.
const Clock& SystemClock();

}  // namespace exeat::base
