#include "revocation/key_table.h"

#include <cstdlib>

namespace exeat::revocation {
namespace {

constexpr std::size_t kSlotsPerKey = 2;
constexpr std::size_t kMinSlots = 16;

// No id is known whose digest is all zeros; should one come, it shares a neighbour's place.
Key NeverFree(Key key) { return key == Key{} ? Key{0, 1} : key; }

}  // namespace

KeyTable::KeyTable(std::size_t keys, Salt salt)
    : salt_(salt), slots_(keys * kSlotsPerKey + kMinSlots) {}

std::size_t KeyTable::SlotOf(Key key) const {
  const std::uint64_t mixed = (key.low ^ salt_.mask) * salt_.factor;
  // The high half of the product scales `mixed` onto the slots without a division.
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::size_t>((Wide{mixed} * slots_.size()) >> 64);
}

bool KeyTable::Insert(Key key) {
  key = NeverFree(key);
  if (size_ * kSlotsPerKey >= slots_.size()) std::abort();
  std::size_t slot = SlotOf(key);
  while (slots_[slot] != Key{}) {
    if (slots_[slot] == key) return false;
    if (++slot == slots_.size()) slot = 0;
  }
  slots_[slot] = key;
  ++size_;
  return true;
}

bool KeyTable::Contains(Key key) const {
  key = NeverFree(key);
  std::size_t slot = SlotOf(key);
  while (slots_[slot] != Key{}) {
    if (slots_[slot] == key) return true;
    if (++slot == slots_.size()) slot = 0;
  }
  return false;
}

}  // namespace exeat::revocation
