// Follows the changes of a store that edges share, and holds the lease under which this edge
// decides.
//
// Order:      changes are put in force, then the lease is renewed with their number, which
//             acknowledges them. The lease counts from before a renewal was sent. Without one the
//             edge is granted it only when it has applied every change, by the store and here.
// Fail mode:  a store that does not answer lets the lease run out, and so everything is denied
//             until it is renewed; a position that cannot be gone on from (another timeline) ends
//             the lease at once, and everything is read again. Nothing needs a restart.
// Threads:    one follows, which alone uses the store it is given; one watches the lease; one waits
//             for the streams of those whom other edges revoked. The hooks run on the first two.
// Source:     docs/adr/0014-shared-store.md
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/stop_signal.h"
#include "base/worker.h"
#include "operator/edges.h"
#include "operator/revocations.h"
#include "operator/sequence.h"
#include "operator/sessions.h"
#include "revocation/lease.h"
#include "store/store.h"

namespace exeat::ops {

class Follower {
 public:
  // All of it outlives this. No hook may wait for the follower.
  struct Parts {
    std::string self;     // this edge, in this run of it: whose lease nobody else renews
    store::Store& store;  // which nobody else uses
    revocation::Lease& lease;
    Sequence& sequence;
    RevocationDesk& revocations;
    SessionDesk& sessions;
    SharedKeys& keys;
    const base::Clock& clock;
    std::function<void()> keys_changed;
    std::function<void()> policy_appended;  // or may have been
    std::function<void()> lease_lost;
  };
  // For people; nothing is decided by it.
  struct State {
    base::Status store;  // of the last call
    std::uint64_t applied = 0;
    std::size_t edges = 0;  // that renew, this one among them
  };

  explicit Follower(Parts parts) : parts_(std::move(parts)) {}
  ~Follower() { Stop(); }

  // Reads everything and takes the first lease; follows from then on.
  base::Status Start();
  // Gives the lease back. Nothing may be served any more.
  void Stop();

  State state() const;

 private:
  void Follow(const std::stop_token& stop);
  void WatchLease(const std::stop_token& stop);
  // One round: what has changed, the lease, and the wait for what comes next.
  base::Status Step();
  base::Status ReadAll();
  // True when there was something.
  base::StatusOr<bool> ApplyNext();
  base::Status Renew();
  static base::Status AwaitVetted(Revoked& revoked);
  base::Status CountEdges();
  void AwaitCut(Revoked revoked);
  void Report(const base::Status& status);

  const Parts parts_;
  // The following thread's, down to the lock.
  std::optional<store::Position> position_;  // nullopt: everything is to be read
  base::BootTime renew_at_{0};
  base::BootTime count_at_{0};
  StandingStill standing_still_;

  base::StopSignal stop_;
  mutable base::Mutex mutex_;
  State state_ GUARDED_BY(mutex_);

  base::Worker cuts_{64};
  std::jthread watching_;
  std::jthread following_;
};

}  // namespace exeat::ops
