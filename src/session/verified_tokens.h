// The tokens that have been verified, so that the next request with one costs a look-up and a
// comparison instead of a signature check.
//
// Shapes:   keyed by the end of the signature, then compared whole: the signature in constant time,
//           and only after it what it signs. Sharded, so that threads seldom meet. Each shard holds
//           two generations: when the newer is full the older is dropped. Tokens held are wiped.
// Threads:  safe concurrently.
// Source:   docs/adr/0004-session-tokens.md
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "base/secret.h"
#include "session/verified_claims.h"

namespace exeat::session {

class VerifiedTokens {
 public:
  // Holds at most about `capacity` tokens; none when it is 0.
  explicit VerifiedTokens(std::size_t capacity);

  // nullptr when the token is not remembered.
  std::shared_ptr<const VerifiedClaims> Find(std::string_view token);
  // Remembers the token, unless Restart has begun another epoch since its keys were taken.
  void Insert(std::string_view token, std::shared_ptr<const VerifiedClaims> claims,
              std::uint64_t epoch);
  // Forgets everything; from now on only tokens verified in `epoch` are remembered.
  void Restart(std::uint64_t epoch);

 private:
  static constexpr std::size_t kShards = 64;
  struct Remembered {
    base::Secret token;
    std::shared_ptr<const VerifiedClaims> claims;
  };
  using Generation = std::unordered_map<std::uint64_t, Remembered>;
  struct alignas(64) Shard {
    base::Mutex mutex;
    std::uint64_t epoch GUARDED_BY(mutex) = 0;
    Generation newer GUARDED_BY(mutex);
    Generation older GUARDED_BY(mutex);
  };

  Shard& ShardOf(std::uint64_t key) { return shards_[(key >> 32) % kShards]; }

  const std::size_t generation_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace exeat::session
