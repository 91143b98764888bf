// The leaves that Envoy holds now: bounded, renewed before they end, forgotten when idle.
//
// Why here:  Envoy caches on-demand leaves without limit, so the server bounds it by removal.
// Shapes:    least recently used goes first; removals come in small batches, because a large one
//            makes Envoy's memory peak (24 kB a leaf).
// Units:     idle time on the boot clock, renewal on the wall clock.
// Threads:   safe concurrently.
// Source:    docs/adr/0010-delta-ads.md
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "issuer/issuer.h"

namespace exeat::issuer {

class LeafBook {
 public:
  struct Options {
    std::size_t max_leaves = 1024;
    std::chrono::nanoseconds max_idle = std::chrono::hours(1);
    std::size_t batch = 20;
  };
  LeafBook(Options options, const base::Clock& clock) : options_(options), clock_(clock) {}

  // The leaf held for this name unless it must be renewed; marks it as used.
  std::shared_ptr<const Leaf> Find(std::string_view name);
  bool Contains(std::string_view name) const;
  void Insert(std::shared_ptr<const Leaf> leaf);
  // A handshake or request used it.
  void Touch(std::string_view name);
  void Forget(std::string_view name);

  // At most one batch of names to take away from Envoy now; already forgotten here.
  std::vector<std::string> TakeIdle();
  // At most one batch of names whose leaf is in the last third of its life, or has not begun to be
  // valid, since the clock was set back.
  std::vector<std::string> DueForRenewal() const;
  // Every name held, in no particular order.
  std::vector<std::string> Names() const;
  std::size_t size() const;

 private:
  struct Held {
    std::shared_ptr<const Leaf> leaf;
    base::BootTime used{};
    std::list<std::string>::iterator place;
  };
  bool MustRenew(const Leaf& leaf) const;
  void MarkUsed(Held& held) REQUIRES(mutex_);

  const Options options_;
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::map<std::string, Held, std::less<>> held_ GUARDED_BY(mutex_);
  std::list<std::string> by_use_ GUARDED_BY(mutex_);  // least recently used first
};

}  // namespace exeat::issuer
