// A fixed-size set of 16-byte keys: open addressing, linear probing, half full.
//
// Why here:   the denylist's bulk. Built for a known count and never grown, so it is always exactly
//             half full and costs 32 bytes a key whatever the count.
// Placement:  keys are cut from SHA-256, which anyone can compute, so the slot also depends on a
//             salt of this process: chosen ids cannot be made to crowd one place.
// Threads:    const methods are safe concurrently.
// Source:     docs/adr/0007-denylist.md
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace exeat::revocation {

struct Key {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const Key&) const = default;
};

struct Salt {
  std::uint64_t mask = 0, factor = 1;  // the factor is odd
};

class KeyTable {
 public:
  KeyTable(std::size_t keys, Salt salt);

  // False when it is in already. Inserting more keys than announced is our bug.
  bool Insert(Key key);
  bool Contains(Key key) const;
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return slots_.size() * sizeof(Key); }

  // In the order of the slots: inserting in this order into another table of the same salt walks
  // through its memory once.
  template <class Visitor>
  void ForEach(Visitor visit) const {
    for (const Key& key : slots_) {
      if (key != Key{}) visit(key);
    }
  }

 private:
  std::size_t SlotOf(Key key) const;

  Salt salt_;
  std::vector<Key> slots_;  // all zeros is a free slot
  std::size_t size_ = 0;
};

}  // namespace exeat::revocation
