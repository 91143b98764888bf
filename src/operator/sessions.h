// The session desk: opens, renews, revokes and restores sessions for the operator.
//
// Order:      a row is durable and recorded before its token exists outside. A revoke is in force
//             in memory first, then stored, then acknowledged; if storing fails it stays in force
//             and the caller is told. A restore is stored first, then in memory.
// Errors:     kInvalidArgument names what to change; kNotFound no such session or entry;
//             kFailedPrecondition ended or revoked; kResourceExhausted the cap or the queue;
//             kUnavailable store or audit: nothing was handed out.
// Fail mode:  an error never leaves more open than before.
// Units:      times are UTC seconds; an entry outlives every token it could stop.
// Threads:    every method is safe concurrently; the store is touched on the worker's thread only.
// Source:     docs/walkthroughs/revoke.md, docs/adr/0004-session-tokens.md
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "audit/log.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "revocation/denylist.h"
#include "session/signing_keys.h"
#include "store/store.h"

namespace exeat::ops {

// Bound of every token's life, whatever the policy of its day said: 60 minutes and 60 s of skew.
inline constexpr std::chrono::seconds kLongestToken{3600 + 60};

struct SessionView {
  store::SessionRow row;
  bool revoked = false;
  bool ended = false;
};

struct Minted {
  SessionView session;
  base::Secret token;
  base::UnixSeconds expires_at = 0;  // of this token
};

struct SessionRequest {
  std::string sub;
  std::vector<std::string> grants;
  std::chrono::seconds ttl{0};
};

struct RevocationRequest {
  store::RevokedKind kind = store::RevokedKind::kSession;
  std::string id;  // empty for kAll, and only then
  std::string reason;
};

// A revoke that was answered is in force.
struct Revoked {
  bool durable = false;
  std::string problem;  // empty when durable and recorded
};

class SessionDesk {
 public:
  struct Options {
    std::size_t max_live_sessions = 100'000;
    std::chrono::seconds margin{60};  // entries outlive tokens by this, for clocks set back
  };
  // What the desk works with; all of it outlives the desk.
  struct Parts {
    Edge& edge;
    session::SigningKeys& keys;
    revocation::Denylist& denylist;
    store::Store& store;
    base::Worker& store_worker;
    audit::Log& audit;
    Metrics& metrics;
    const base::Clock& clock;
  };
  SessionDesk(Parts parts, Options options);

  // Reads sessions and revocations from the store and loads the denylist: before this, every
  // decision is denied. Call once at start; an error leaves the denylist not loaded.
  base::Status Load();

  base::StatusOr<Minted> Create(const SessionRequest& request);
  // A new token of the same session, with the grants it was opened with.
  base::StatusOr<Minted> Renew(const std::string& sid, std::chrono::seconds ttl);
  // Sessions that have not ended, oldest first, revoked ones among them.
  base::StatusOr<std::vector<SessionView>> List();
  base::StatusOr<SessionView> Show(const std::string& sid);

  // An error means that the request made no sense and nothing changed. An id that is not known is
  // accepted, so that a revoke never depends on what this edge remembers.
  base::StatusOr<Revoked> Revoke(const RevocationRequest& request);
  // Removes exactly that entry; what stands under another kind still denies.
  base::Status Restore(const RevocationRequest& request);

  // A new key signs; `withdraw` also makes every earlier key's tokens invalid before it returns.
  base::Status RotateSigningKey(bool withdraw);

  // Housekeeping, to be called about once a minute: forgets what ended an hour ago, and retired
  // signing keys whose last token has ended.
  base::Status Tidy();

  std::size_t live_sessions() const;

 private:
  base::Status CheckRequest(const SessionRequest& request, const policy::Policy& policy) const;
  base::Status CheckTtl(std::chrono::seconds ttl, const policy::Policy& policy) const;
  base::StatusOr<Minted> Mint(const store::SessionRow& row, base::UnixSeconds expires_at,
                              const char* activity);
  base::Status Reserve(const std::string& sid, base::UnixSeconds expires_at);
  void Forget(const std::string& sid);
  base::Status Record(const audit::Event& event);
  base::Status CheckStanding(const store::SessionRow& row) const;
  SessionView View(store::SessionRow row) const;
  void PutInForce(const RevocationRequest& request);
  base::Status StoreRevocation(const RevocationRequest& request);

  const Parts parts_;
  const Options options_;
  base::Mutex signing_turn_;  // held while a token is signed, and while the key changes
  mutable base::Mutex mutex_;
  std::map<std::string, base::UnixSeconds> live_ GUARDED_BY(mutex_);  // sid -> end of its token
};

}  // namespace exeat::ops
