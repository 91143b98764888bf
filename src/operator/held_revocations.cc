#include "operator/held_revocations.h"

#include <algorithm>

namespace exeat::ops {

bool HeldRevocations::Stored(const store::RevocationKey& key, std::uint64_t seq) {
  State& state = held_[key];
  --state.pending;
  state.unstored = false;
  state.stored = std::max(state.stored, seq);
  if (state.IsNeeded()) return false;
  const bool goes_out = state.deleted > state.stored;
  if (goes_out || state.stored <= applied_) held_.erase(key);
  return goes_out;
}

void HeldRevocations::NotStored(const store::RevocationKey& key) {
  State& state = held_[key];
  --state.pending;
  state.unstored = true;
}

bool HeldRevocations::Deleted(const store::RevocationKey& key, std::uint64_t seq) {
  const auto found = held_.find(key);
  if (found == held_.end()) return true;
  State& state = found->second;
  state.deleted = seq;
  return !state.IsNeeded() && state.stored < seq;
}

void HeldRevocations::Applied(std::uint64_t seq) {
  applied_ = seq;
  std::erase_if(held_, [seq](const auto& held) {
    return !held.second.IsNeeded() && held.second.stored <= seq;
  });
}

bool HeldRevocations::Release(const store::RevocationKey& key) {
  const auto found = held_.find(key);
  if (found == held_.end() || !found->second.unstored) return false;
  found->second.unstored = false;
  if (!found->second.IsNeeded()) held_.erase(found);
  return true;
}

std::vector<store::RevocationKey> HeldRevocations::keys() const {
  std::vector<store::RevocationKey> keys;
  for (const auto& [key, state] : held_) keys.push_back(key);
  return keys;
}

}  // namespace exeat::ops
