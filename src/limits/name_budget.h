// Bounds how many names a guest can make the edge mint a leaf for.
//
// Why here:  each new name costs a signature, memory in Envoy and a subscription; Envoy's own cache
//            has no bound (docs/adr/0010-delta-ads.md).
// Shapes:    a bucket a session, charged at CONNECT; a bucket a source on the transparent leg,
//            where nobody is known before the handshake; and behind the sources one common bucket
//            for every name that no CONNECT announced. A source only bounds, it is no identity: an
//            IPv4 address, or the /64 of an IPv6 one, within which a guest may call itself
//            anything.
// Units:     names; refilled evenly over a minute on the boot clock.
// Fail mode: past the sessions or sources tracked at once, further ones share the common bucket.
// Threads:   safe concurrently.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/socket_id.h"
#include "limits/token_bucket.h"

namespace exeat::limits {

class NameBudget {
 public:
  struct Options {
    double per_session_per_minute = 60;
    double per_source_per_minute = 60;
    double unannounced_per_minute = 600;
    std::size_t max_sessions = 65536;
    std::size_t max_sources = 65536;
  };
  NameBudget(Options options, const base::Clock& clock);

  // Whether this session may bring one more new name; true announces it to AdmitMint.
  bool AdmitAtConnect(std::string_view sid, std::string_view name);
  // Whether this source may bring one more new name; AdmitMint charges the common bucket for it.
  bool AdmitFrom(const base::SocketEnd& source, std::string_view name);
  // Whether a leaf may be minted now: announced within a minute, or charged to the common bucket.
  bool AdmitMint(std::string_view name);

 private:
  using Buckets = std::map<std::string, TokenBucket, std::less<>>;

  // The bucket of `key`, or null when there is none and no room for one.
  TokenBucket* Find(Buckets& buckets, std::string_view key, double per_minute, std::size_t most,
                    base::BootTime now) REQUIRES(mutex_);
  void ForgetOld(base::BootTime now) REQUIRES(mutex_);
  bool AdmitUntracked(std::string_view name, base::BootTime now) REQUIRES(mutex_);
  void Announce(std::string_view name, base::BootTime now) REQUIRES(mutex_);

  const Options options_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  Buckets sessions_ GUARDED_BY(mutex_);
  Buckets sources_ GUARDED_BY(mutex_);
  std::map<std::string, base::BootTime, std::less<>> announced_ GUARDED_BY(mutex_);
  TokenBucket common_ GUARDED_BY(mutex_);
  base::BootTime forgot_ GUARDED_BY(mutex_);
};

}  // namespace exeat::limits
