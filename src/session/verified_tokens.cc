#include "session/verified_tokens.h"

#include <utility>

namespace exeat::session {

VerifiedTokens::VerifiedTokens(std::size_t capacity)
    : generation_capacity_((capacity + 2 * kShards - 1) / (2 * kShards)) {}

std::shared_ptr<const VerifiedClaims> VerifiedTokens::Find(const crypto::Sha256Digest& token) {
  Shard& shard = ShardOf(token);
  Generation dropped;  // freed after the lock
  base::MutexLock lock(shard.mutex);
  if (const auto found = shard.newer.find(token); found != shard.newer.end()) return found->second;
  auto node = shard.older.extract(token);
  if (node.empty()) return nullptr;
  std::shared_ptr<const VerifiedClaims> claims = node.mapped();
  if (shard.newer.size() >= generation_capacity_) {
    dropped = std::exchange(shard.older, std::exchange(shard.newer, {}));
  }
  shard.newer.insert(std::move(node));  // in use: it outlives its generation
  return claims;
}

void VerifiedTokens::Insert(const crypto::Sha256Digest& token, std::shared_ptr<const VerifiedClaims> claims,
                            std::uint64_t epoch) {
  if (generation_capacity_ == 0) return;
  Shard& shard = ShardOf(token);
  Generation dropped;
  base::MutexLock lock(shard.mutex);
  if (shard.epoch != epoch) return;
  if (shard.newer.size() >= generation_capacity_) {
    dropped = std::exchange(shard.older, std::exchange(shard.newer, {}));
  }
  shard.newer.insert_or_assign(token, std::move(claims));
}

void VerifiedTokens::Restart(std::uint64_t epoch) {
  for (Shard& shard : shards_) {
    Generation newer;
    Generation older;
    base::MutexLock lock(shard.mutex);
    shard.epoch = epoch;
    newer.swap(shard.newer);
    older.swap(shard.older);
  }
}

}  // namespace exeat::session
