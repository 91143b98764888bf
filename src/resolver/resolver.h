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

#include <chrono>
#include <cstdint>
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
// one of `own` (the edge's listeners), an unspecified address or a cloud's metadata service. An
// address that embeds an IPv4 one (mapped, NAT64, 6to4, Teredo) must pass for both. An entry of
// `own` with port 0 stands for every port; one on 0.0.0.0 or :: for every loopback address too.
bool MayDial(const policy::IpAddress& address, std::uint16_t port,
             const std::vector<policy::Cidr>& allow_private,
             const std::vector<policy::SocketAddress>& own);

struct Addresses {
  std::vector<policy::IpAddress> good;    // sorted
  std::vector<policy::IpAddress> denied;  // answered, but in the deny-set; sorted
  bool operator==(const Addresses&) const = default;
};

struct LookupOptions {
  std::chrono::milliseconds timeout{1000};  // of the first try; doubles with each
  int tries = 2;                            // a server
};

class Resolver {
 public:
  // Called with the new answer of a name whenever it changes, and once when first known; a first
  // lookup that fails is known to have no addresses.
  using Listener = std::function<void(const std::string& host, const Addresses& addresses)>;

  // `clock` must outlive it.
  static base::StatusOr<std::unique_ptr<Resolver>> Start(Listener listener,
                                                         const base::Clock& clock,
                                                         LookupOptions options = {});
  virtual ~Resolver() = default;  // stops the thread

  // Resolves the hosts of this policy from now on; names no longer in it are forgotten. Its
  // listeners must hold the ports that are really bound: port 0 names none.
  virtual void Follow(policy::PolicyPtr policy) = 0;
  // The present answers.
  virtual std::map<std::string, Addresses> Current() const = 0;
  // How many answers held an address of the deny-set, since the start.
  virtual std::uint64_t DeniedAnswers() const { return 0; }
};

}  // namespace exeat::resolver
