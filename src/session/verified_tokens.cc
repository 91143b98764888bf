#include "session/verified_tokens.h"

#include <cstring>
#include <string>
#include <utility>

#include "crypto/constant_time.h"

namespace exeat::session {
namespace {

constexpr std::size_t kSignatureChars = 86;  // 64 bytes in base64url
// Its last character carries two bits of the signature, so the key stands before it.
constexpr std::size_t kKeyFromEnd = 9;

std::uint64_t KeyOf(std::string_view token) {
  std::uint64_t key;
  std::memcpy(&key, token.data() + token.size() - kKeyFromEnd, sizeof(key));
  return key * 0x9E3779B97F4A7C15;
}

// What was signed is no secret to whoever has the whole signature.
bool SameToken(std::string_view held, std::string_view token) {
  if (held.size() != token.size()) return false;
  const std::size_t text = held.size() - kSignatureChars;
  return crypto::EqualConstantTime(held.substr(text), token.substr(text)) &&
         held.substr(0, text) == token.substr(0, text);
}

}  // namespace

VerifiedTokens::VerifiedTokens(std::size_t capacity)
    : generation_capacity_((capacity + 2 * kShards - 1) / (2 * kShards)) {}

std::shared_ptr<const VerifiedClaims> VerifiedTokens::Find(std::string_view token) {
  if (token.size() < kSignatureChars) return nullptr;
  const std::uint64_t key = KeyOf(token);
  Shard& shard = ShardOf(key);
  Generation dropped;  // wiped after the lock
  base::MutexLock lock(shard.mutex);
  if (const auto found = shard.newer.find(key); found != shard.newer.end()) {
    return SameToken(found->second.token.Reveal(), token) ? found->second.claims : nullptr;
  }
  const auto older = shard.older.find(key);
  if (older == shard.older.end() || !SameToken(older->second.token.Reveal(), token)) return nullptr;
  auto node = shard.older.extract(older);
  std::shared_ptr<const VerifiedClaims> claims = node.mapped().claims;
  if (shard.newer.size() >= generation_capacity_) {
    dropped = std::exchange(shard.older, std::exchange(shard.newer, {}));
  }
  shard.newer.insert(std::move(node));  // in use: it outlives its generation
  return claims;
}

void VerifiedTokens::Insert(std::string_view token, std::shared_ptr<const VerifiedClaims> claims,
                            std::uint64_t epoch) {
  if (generation_capacity_ == 0 || token.size() < kSignatureChars) return;
  const std::uint64_t key = KeyOf(token);
  Shard& shard = ShardOf(key);
  Generation dropped;
  base::MutexLock lock(shard.mutex);
  if (shard.epoch != epoch) return;
  if (shard.newer.size() >= generation_capacity_) {
    dropped = std::exchange(shard.older, std::exchange(shard.newer, {}));
  }
  shard.newer.insert_or_assign(key,
                               Remembered{base::Secret(std::string(token)), std::move(claims)});
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
