// Prepared EVP_PKEY_CTX objects of one key, lent one to a caller at a time. Only for this room.
#pragma once

#include <utility>
#include <vector>

#include "base/mutex.h"
#include "crypto/openssl_ptr.h"

namespace exeat::crypto {

class ContextPool {
 public:
  // `prepare` is EVP_PKEY_sign_init or EVP_PKEY_verify_init.
  ContextPool(EVP_PKEY* key, int (*prepare)(EVP_PKEY_CTX*)) : key_(key), prepare_(prepare) {}

  // Null when OpenSSL refuses.
  PkeyCtxPtr Take() {
    {
      base::MutexLock lock(mutex_);
      if (!idle_.empty()) {
        PkeyCtxPtr context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    PkeyCtxPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_, nullptr));
    if (context == nullptr || prepare_(context.get()) != 1) return nullptr;
    return context;
  }
  // Give back only what worked: a context after an error is not to be trusted again.
  void Return(PkeyCtxPtr context) {
    base::MutexLock lock(mutex_);
    idle_.push_back(std::move(context));
  }

 private:
  EVP_PKEY* const key_;
  int (*const prepare_)(EVP_PKEY_CTX*);
  base::Mutex mutex_;
  std::vector<PkeyCtxPtr> idle_ GUARDED_BY(mutex_);
};

}  // namespace exeat::crypto
