// What is known of one name, and when to ask again.
//
// Why here:   pure, so that TTLs, stale answers and back-off are tested without DNS or waiting.
// Units:      moments on CLOCK_BOOTTIME, which goes on through suspend.
// Fail mode:  a name whose lookups fail keeps its last answer for kServeStale past its TTL, then
// has
//             no addresses. An answer that says there are none counts at once.
// Threads:    not safe; one thread owns it.
// Source:     RFC 8767 (whose stale answers are longer), docs/adr/0008-resolver.md
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "policy/ip_address.h"

namespace exeat::resolver {

inline constexpr std::chrono::seconds kMinTtl{5};
inline constexpr std::chrono::seconds kMaxTtl{300};
inline constexpr std::chrono::seconds kServeStale{60};
inline constexpr std::chrono::seconds kAskAbsentAgain{10};
inline constexpr std::chrono::seconds kFirstRetry{1};
inline constexpr std::chrono::seconds kLastRetry{30};

struct Answer {
  enum class Outcome {
    kFailed,     // nobody could say: timeout, SERVFAIL, REFUSED
    kAbsent,     // the name does not exist or has no address
    kAddresses,  // `addresses` is not empty
  };
  Outcome outcome = Outcome::kFailed;
  std::vector<policy::IpAddress> addresses;
  std::chrono::seconds ttl{0};
};

class NameState {
 public:
  // A lookup should start now; none is under way.
  bool IsDue(base::BootTime now) const { return !under_way_ && now >= due_; }
  void Begin() { under_way_ = true; }
  // The lookup under way will never answer: it is due again at once.
  void Abandon();
  void Take(const Answer& answer, base::BootTime now);
  // Lets go of an answer that has been stale for too long; true when there was one.
  bool Expire(base::BootTime now);

  // nullopt until the first lookup has ended; sorted, without doubles.
  const std::optional<std::vector<policy::IpAddress>>& addresses() const { return addresses_; }
  // The first moment at which IsDue or Expire can have something to say; max() for never.
  base::BootTime NextMoment() const;

 private:
  std::optional<std::vector<policy::IpAddress>> addresses_;
  bool under_way_ = false;
  int failures_ = 0;  // in a row
  base::BootTime due_{0};
  base::BootTime stale_until_{0};
};

}  // namespace exeat::resolver
