#include "issuer/leaf_book.h"

#include <iterator>
#include <utility>

namespace exeat::issuer {

bool LeafBook::MustRenew(const Leaf& leaf) const {
  const base::UnixSeconds now = clock_.UnixNow();
  // Also one that was made before the clock was set back: no guest takes it yet.
  return now >= leaf.not_after - (leaf.not_after - leaf.not_before) / 3 || now < leaf.not_before;
}

void LeafBook::MarkUsed(Held& held) {
  held.used = clock_.BootNow();
  by_use_.splice(by_use_.end(), by_use_, held.place);
}

std::shared_ptr<const Leaf> LeafBook::Find(std::string_view name) {
  base::MutexLock lock(mutex_);
  const auto found = held_.find(name);
  if (found == held_.end() || MustRenew(*found->second.leaf)) return nullptr;
  MarkUsed(found->second);
  return found->second.leaf;
}

bool LeafBook::Contains(std::string_view name) const {
  base::MutexLock lock(mutex_);
  return held_.contains(name);
}

void LeafBook::Insert(std::shared_ptr<const Leaf> leaf) {
  base::MutexLock lock(mutex_);
  auto found = held_.find(leaf->name);
  if (found == held_.end()) {
    by_use_.push_back(leaf->name);
    found = held_.emplace(leaf->name, Held{nullptr, {}, std::prev(by_use_.end())}).first;
  }
  found->second.leaf = std::move(leaf);
  MarkUsed(found->second);
}

void LeafBook::Touch(std::string_view name) {
  base::MutexLock lock(mutex_);
  const auto found = held_.find(name);
  if (found != held_.end()) MarkUsed(found->second);
}

void LeafBook::Forget(std::string_view name) {
  base::MutexLock lock(mutex_);
  const auto found = held_.find(name);
  if (found == held_.end()) return;
  by_use_.erase(found->second.place);
  held_.erase(found);
}

std::vector<std::string> LeafBook::TakeIdle() {
  base::MutexLock lock(mutex_);
  std::vector<std::string> taken;
  const base::BootTime now = clock_.BootNow();
  while (taken.size() < options_.batch && !by_use_.empty()) {
    const auto oldest = held_.find(by_use_.front());
    const bool idle = now - oldest->second.used > options_.max_idle;
    if (!idle && held_.size() <= options_.max_leaves) break;
    taken.push_back(by_use_.front());
    held_.erase(oldest);
    by_use_.pop_front();
  }
  return taken;
}

std::vector<std::string> LeafBook::DueForRenewal() const {
  base::MutexLock lock(mutex_);
  std::vector<std::string> due;
  for (const auto& [name, held] : held_) {
    if (due.size() == options_.batch) break;
    if (MustRenew(*held.leaf)) due.push_back(name);
  }
  return due;
}

std::vector<std::string> LeafBook::Names() const {
  base::MutexLock lock(mutex_);
  return {by_use_.begin(), by_use_.end()};
}

std::size_t LeafBook::size() const {
  base::MutexLock lock(mutex_);
  return held_.size();
}

}  // namespace exeat::issuer
