// Bounds how many names a guest can make the edge mint a leaf for.
//
// Why here:  each new name costs a signature, memory in Envoy and a subscription; Envoy's own cache
//            has no bound (docs/adr/0010-delta-ads.md).
// Shapes:    a bucket a session, charged at CONNECT, and one common bucket for names that no
//            CONNECT announced: the transparent leg, where nobody is known before the handshake.
// Units:     names; refilled evenly over a minute on the boot clock.
// Fail mode: past `max_sessions` tracked at once, further sessions share the common bucket.
// Threads:   safe concurrently.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "limits/token_bucket.h"

namespace exeat::limits {

class NameBudget {
 public:
  struct Options {
    double per_session_per_minute = 60;
    double unannounced_per_minute = 600;
    std::size_t max_sessions = 65536;
  };
  NameBudget(Options options, const base::Clock& clock);

  // Whether this session may bring one more new name; true announces it to AdmitMint.
  bool AdmitAtConnect(std::string_view sid, std::string_view name);
  // Whether a leaf may be minted now: announced at CONNECT within a minute, or charged to the
  // common bucket.
  bool AdmitMint(std::string_view name);

 private:
  void ForgetOld(base::BootTime now) REQUIRES(mutex_);

  const Options options_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  std::map<std::string, TokenBucket, std::less<>> sessions_ GUARDED_BY(mutex_);
  std::map<std::string, base::BootTime, std::less<>> announced_ GUARDED_BY(mutex_);
  TokenBucket common_ GUARDED_BY(mutex_);
};

}  // namespace exeat::limits
