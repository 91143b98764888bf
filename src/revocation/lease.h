// The lease under which an edge that shares its denylist with others decides: without it nobody can
// say that the denylist is fresh, and everything is denied.
//
// Why here:   one atomic compare on the decision path, twice a request.
// Order:      the follower puts changes in force, then extends the lease; a decision looks at the
//             denylist for the last time, then at the lease. So an allow under a lease knows every
//             change that its renewal has told of.
// Units:      CLOCK_BOOTTIME, which counts suspend and which nobody sets.
// Fail mode:  a Lease that nobody ever extended does not hold.
// Threads:    Holds is safe concurrently; one thread extends and ends.
// Source:     docs/adr/0014-shared-store.md
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace exeat::revocation {

// From before a renewal was sent.
inline constexpr std::chrono::milliseconds kLease{1000};
inline constexpr std::chrono::milliseconds kRenewEvery{250};
// After its lease an edge begins no allow for longer than this: Envoy waits for ext_authz no longer
// than a second, and the guardian ends an Envoy whose control is silent within 1.1 s.
inline constexpr std::chrono::milliseconds kLastAllow{1200};

class Lease {
 public:
  bool Holds(base::BootTime now) const { return now < end(); }
  base::BootTime end() const { return base::BootTime(end_.load(std::memory_order_acquire)); }

  void HoldUntil(base::BootTime end) { end_.store(end.count(), std::memory_order_release); }
  void End() { HoldUntil(base::BootTime::min()); }

 private:
  std::atomic<base::BootTime::rep> end_{base::BootTime::min().count()};
};

}  // namespace exeat::revocation
