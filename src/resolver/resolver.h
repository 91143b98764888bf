// The only resolver: destination names to addresses, minus the deny-set.
//
// Purpose:  Envoy does no DNS; what this publishes is what it can dial.
// Shapes:   answers come from `resolver.hosts` or from `resolver.upstream` by c-ares (A and AAAA);
//           never from /etc/hosts, never for localhost. Denied addresses are dropped and reported.
// Units:    TTLs are honoured between 5 and 300 seconds; a stale answer is served for at most 60
//           seconds after its TTL while the upstream fails.
// Fail mode: a name without a good answer has no addresses: nothing can be dialled.
// Threads:  one thread of its own; the listener is called on it.
// Source:   docs/adr/0008-resolver.md
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "policy/policy.h"

namespace exeat::resolver {

// Special-use and private ranges that no destination may resolve into unless
// `resolver.allow_private` opens them. IANA special-purpose registries; NAT64, 6to4, Teredo and
// mapped addresses count as what they embed would: denied.
const std::vector<policy::Cidr>& DenySet();

// Whether `address` may be dialled: outside the deny-set or inside `allow_private`, and in no case
// one of `own` (the edge's listeners).
bool MayDial(const policy::IpAddress& address, std::uint16_t port,
             const std::vector<policy::Cidr>& allow_private,
             const std::vector<policy::SocketAddress>& own);

struct Addresses {
  std::vector<policy::IpAddress> good;    // sorted
  std::vector<policy::IpAddress> denied;  // answered, but in the deny-set; sorted
  bool operator==(const Addresses&) const = default;
};

class Resolver {
 public:
  // Called with the new answer of a name whenever it changes, and once when first known.
  using Listener = std::function<void(const std::string& host, const Addresses& addresses)>;

  static base::StatusOr<std::unique_ptr<Resolver>> Start(Listener listener,
                                                         const base::Clock& clock);
  virtual ~Resolver() = default;  // stops the thread

  // Resolves the hosts of this policy from now on; names no longer in it are forgotten.
  virtual void Follow(policy::PolicyPtr policy) = 0;
  // The present answers.
  virtual std::map<std::string, Addresses> Current() const = 0;
};

}  // namespace exeat::resolver
