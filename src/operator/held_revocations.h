// The revocations that this edge has put in force by its own word, which the sequence of changes
// has not told of yet.
//
// Why here:   a revoke is in force before it is stored, and what others change comes in the order
//             of the commits, later. An older deletion must not take out a newer revoke, and what
//             could not be stored must outlive a reading of everything.
// Threads:    one at a time; its owner changes the denylist under the same lock.
// Source:     docs/adr/0014-shared-store.md
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "store/store.h"

namespace exeat::ops {

class HeldRevocations {
 public:
  // These were put in force and are going to be stored.
  void Begin(const std::vector<store::RevocationKey>& keys) {
    for (const store::RevocationKey& key : keys) ++held_[key].pending;
  }
  // It was, as the change `seq`. True when a deletion that came after it was held back: the entry
  // goes out now.
  bool Stored(const store::RevocationKey& key, std::uint64_t seq);
  // It could not be stored, and stays in force until it is released.
  void NotStored(const store::RevocationKey& key);

  // Whether the deletion `seq` takes the entry out.
  bool Deleted(const store::RevocationKey& key, std::uint64_t seq);
  // The sequence has come to `seq`, and tells of everything up to it.
  void Applied(std::uint64_t seq);

  // Lets go of one that could not be stored; false when it is none.
  bool Release(const store::RevocationKey& key);
  // Takes that back.
  void Hold(const store::RevocationKey& key) { held_[key].unstored = true; }

  std::vector<store::RevocationKey> keys() const;

 private:
  struct State {
    int pending = 0;
    bool unstored = false;
    std::uint64_t stored = 0;   // the newest revoke of this edge
    std::uint64_t deleted = 0;  // the newest deletion that was held back
    bool IsNeeded() const { return pending > 0 || unstored; }
  };
  std::map<store::RevocationKey, State> held_;
  std::uint64_t applied_ = 0;
};

}  // namespace exeat::ops
