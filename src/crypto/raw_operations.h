// The bare OpenSSL calls that minting is measured against: nothing of ours around them.
//
// Why here:  a benchmark needs the lowest cost there is, with contexts made beforehand, and only
//            this room may call OpenSSL.
// Threads:   one thread at a time.
#pragma once

#include <memory>

#include "base/status.h"

namespace exeat::crypto {

class RawOperations {
 public:
  static base::StatusOr<std::unique_ptr<RawOperations>> Make();
  virtual ~RawOperations() = default;

  // A P-256 key, made and let go. False when OpenSSL refuses.
  virtual bool Generate() = 0;
  // One ECDSA signature over a ready digest by a key made beforehand.
  virtual bool Sign() = 0;
};

}  // namespace exeat::crypto
