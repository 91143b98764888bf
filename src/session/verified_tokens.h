// The tokens that have been verified, so that the next request with one costs a hash and a look-up
// instead of a signature check.
//
// Shapes:   keyed by the SHA-256 of the whole token; sharded, so that threads seldom meet. Each
//           shard holds two generations: when the newer is full the older is dropped.
// Threads:  safe concurrently.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "base/mutex.h"
#include "crypto/digest.h"
#include "session/verified_claims.h"

namespace exeat::session {

class VerifiedTokens {
 public:
  // Holds at most about `capacity` tokens; none when it is 0.
  explicit VerifiedTokens(std::size_t capacity);

  // nullptr when the token is not remembered.
  std::shared_ptr<const VerifiedClaims> Find(const crypto::Sha256Digest& token);
  // Remembers the token, unless Restart has begun another epoch since its keys were taken.
  void Insert(const crypto::Sha256Digest& token, std::shared_ptr<const VerifiedClaims> claims,
              std::uint64_t epoch);
  // Forgets everything; from now on only tokens verified in `epoch` are remembered.
  void Restart(std::uint64_t epoch);

 private:
  static constexpr std::size_t kShards = 64;
  struct Hash {
    std::size_t operator()(const crypto::Sha256Digest& digest) const {
      std::size_t hash;
      std::memcpy(&hash, digest.data(), sizeof(hash));
      return hash;
    }
  };
  using Generation =
      std::unordered_map<crypto::Sha256Digest, std::shared_ptr<const VerifiedClaims>, Hash>;
  struct alignas(64) Shard {
    base::Mutex mutex;
    std::uint64_t epoch GUARDED_BY(mutex) = 0;
    Generation newer GUARDED_BY(mutex);
    Generation older GUARDED_BY(mutex);
  };

  Shard& ShardOf(const crypto::Sha256Digest& token) { return shards_[token.back() % kShards]; }

  const std::size_t generation_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace exeat::session
