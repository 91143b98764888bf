// The session desk: opens, renews and shows sessions for the operator.
//
// Order:      a row is durable and recorded before its token exists outside.
// Errors:     kInvalidArgument names what to change; kNotFound no such session or entry;
//             kFailedPrecondition ended or revoked; kResourceExhausted the cap or the queue;
//             kUnavailable store or audit: nothing was handed out.
// Fail mode:  an error never leaves more open than before.
// Units:      times are UTC seconds.
// Threads:    every method is safe concurrently; the store is touched on the worker's thread only.
// Source:     docs/adr/0004-session-tokens.md
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "operator/recorder.h"
#include "operator/revocations.h"
#include "operator/sharing.h"
#include "session/signing_keys.h"
#include "store/store.h"

namespace exeat::ops {

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

class SessionDesk {
 public:
  struct Options {
    std::size_t max_live_sessions = 100'000;
    std::chrono::seconds margin{60};  // keys outlive tokens by this, for clocks set back
  };
  // What the desk works with; all of it outlives the desk.
  struct Parts {
    Edge& edge;
    session::SigningKeys& keys;
    RevocationDesk& revocations;
    store::Store& store;
    base::Worker& store_worker;
    const Recorder& recorder;
    Metrics& metrics;
    const base::Clock& clock;
    const Sharing* sharing = nullptr;  // null: the store is this edge's own
  };
  SessionDesk(Parts parts, Options options);

  // Reads the sessions that live from the store. Call once at start.
  base::Status Load();

  // What a follower of a shared store calls: all that live, by their ids, with the end of each.
  using Ends = std::map<std::string, base::UnixSeconds>;
  void Replace(Ends live);
  void Follow(const store::SessionPut& put);

  base::StatusOr<Minted> Create(const SessionRequest& request);
  // A new token of the same session, with the grants it was opened with.
  base::StatusOr<Minted> Renew(const std::string& sid, std::chrono::seconds ttl);
  // Sessions that have not ended, oldest first, revoked ones among them.
  base::StatusOr<std::vector<SessionView>> List();
  base::StatusOr<SessionView> Show(const std::string& sid);

  // A new key signs; `withdraw` also makes every earlier key's tokens invalid before it returns.
  base::Status RotateSigningKey(bool withdraw);

  // Housekeeping, to be called about once a minute, by one thread: forgets what ended an hour ago,
  // and retired signing keys whose last token has ended. A clock that is set forward ends nothing
  // here, and in the first hour nothing is forgotten: one that is wrong at the start is put right
  // by then.
  base::Status Tidy();

  std::size_t live_sessions() const;

 private:
  base::Status CheckRequest(const SessionRequest& request, const policy::Policy& policy) const;
  base::Status CheckTtl(std::chrono::seconds ttl, const policy::Policy& policy) const;
  base::StatusOr<Minted> Mint(const store::SessionRow& row, base::UnixSeconds expires_at,
                              const char* activity);
  base::Status ShareKeys() {
    return parts_.sharing == nullptr ? absl::OkStatus() : parts_.sharing->keys.Share();
  }
  base::Status Reserve(const std::string& sid, base::UnixSeconds expires_at);
  void Forget(const std::string& sid);
  SessionView View(store::SessionRow row) const;
  base::Status ForgetEnded(base::UnixSeconds now);

  const Parts parts_;
  const Options options_;
  base::LowestWall ended_by_;  // Tidy's
  base::Mutex signing_turn_;   // held while a token is signed, and while the key changes
  mutable base::Mutex mutex_;
  Ends live_ GUARDED_BY(mutex_);
};

}  // namespace exeat::ops
