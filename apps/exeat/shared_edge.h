// This edge as one of several that share a store: its lease, what it follows, what it waits for.
//
// Order:    Open connects; Start reads everything and takes the lease, before anything is served;
//           LetGo before the operator's calls are ended; Stop when Envoy has ended.
// Errors:   Open and Start: kUnavailable the database cannot be reached: the edge does not start.
// Threads:  safe concurrently, save that Open, Start and Stop are the main thread's.
// Source:   docs/adr/0014-shared-store.md
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edges.h"
#include "operator/follower.h"
#include "operator/policies.h"
#include "operator/revocations.h"
#include "operator/sequence.h"
#include "operator/sessions.h"
#include "operator/sharing.h"
#include "policy/policy.h"
#include "revocation/lease.h"
#include "running_edge.h"
#include "session/signing_keys.h"
#include "store/store.h"

namespace exeat {

base::StatusOr<std::unique_ptr<store::Store>> OpenShared(const policy::SharedStore& where);

class SharedEdge {
 public:
  // `store` is what the desks use on `worker`; the follower has one of its own.
  struct Parts {
    store::Store& store;
    base::Worker& worker;
    const session::SigningKeys& keys;
    const base::Clock& clock;
  };
  static base::StatusOr<std::unique_ptr<SharedEdge>> Open(const policy::SharedStore& where,
                                                          Parts parts);

  const revocation::Lease* lease() const { return &lease_; }
  const ops::Sharing* sharing() const { return &sharing_; }
  std::string Jwks() const { return keys_.Jwks(); }

  // What it works on; all of it outlives Stop.
  struct Desks {
    ops::RevocationDesk& revocations;
    ops::SessionDesk& sessions;
    ops::PolicyDesk& policies;
    RunningEdge& edge;
  };
  base::Status Start(const Desks& desks);
  // Tries again to follow the policy, where that failed. Call every second.
  void Tick();
  // Whether the guardian may be told that all is well: an edge without a lease whose tunnels go on
  // without asking is one that does not answer.
  bool MayBeat(const RunningEdge& edge) const {
    return lease_.Holds(clock_.BootNow()) || !edge.vetted().AnyOpen();
  }
  void LetGo() { edges_.Stop(); }
  void Stop();

  ops::StoreStatus status() const;

 private:
  SharedEdge(std::unique_ptr<store::Store> followed, std::string self, const Parts& parts);
  void FollowPolicy(ops::PolicyDesk& policies);
  void UseKeys(RunningEdge& edge);

  const std::unique_ptr<store::Store> followed_;
  const std::string self_;
  const base::Clock& clock_;
  revocation::Lease lease_;
  ops::Sequence sequence_;
  ops::Edges edges_;
  ops::SharedKeys keys_;
  const ops::Sharing sharing_{edges_, sequence_, keys_};
  std::function<void()> follow_policy_;  // set once, before any other thread is there

  mutable base::Mutex mutex_;
  base::Status policy_ GUARDED_BY(mutex_);
  base::BootTime policy_again_at_ GUARDED_BY(mutex_){0};

  std::unique_ptr<base::Worker> policy_worker_;
  std::unique_ptr<base::Worker> keys_worker_;
  std::unique_ptr<ops::Follower> follower_;
};

}  // namespace exeat
