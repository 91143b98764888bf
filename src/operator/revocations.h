// The revocation desk: takes sessions, tokens, subjects or everything away, and gives them back.
//
// Order:      a revoke is in force in memory first, then open streams are being cut, then it is
//             stored, then acknowledged; if storing fails it stays in force and the caller is told.
//             Where a session has a tunnel that is asked about once, it is in force when Envoy has
//             let go of every socket of the session.
//             A restore is stored first, then in memory. Several are all or nothing.
//             Where edges share the store the acknowledgement also waits for every one of them, and
//             what the store tells is put in force and taken out in the order of its changes alone.
// Errors:     kInvalidArgument the request made no sense and nothing changed; kNotFound nothing to
//             restore; kUnavailable store or audit.
// Fail mode:  an error never leaves more open than before; without Load every decision is denied.
// Units:      times are UTC seconds; an entry outlives every token it could stop.
// Threads:    every method is safe concurrently; the store is touched on the worker's thread only.
// Source:     docs/walkthroughs/revoke.md
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/worker.h"
#include "operator/edge.h"
#include "operator/held_revocations.h"
#include "operator/metrics.h"
#include "operator/recorder.h"
#include "operator/sharing.h"
#include "revocation/denylist.h"
#include "session/claims.h"
#include "store/store.h"

namespace exeat::ops {

// Bound of every token's life, whatever the policy of its day said.
inline constexpr std::chrono::seconds kLongestToken =
    session::kMaxTokenLifetime + session::kMaxSkew;

// Bounds of one request, so that a list of that many entries of any length passes.
inline constexpr std::size_t kMaxAtOnce = 100'000;
inline constexpr int kMaxRequestBytes = 32 << 20;

struct RevocationRequest {
  store::RevokedKind kind = store::RevokedKind::kSession;
  std::string id;  // empty for kAll, and only then
  std::string reason;
};

// A revoke that was answered is in force, save in tunnels that Envoy asks about once and has not
// let go of: then it is no acknowledgement.
struct Revoked {
  bool durable = false;
  std::size_t uncut = 0;     // streams of sessions with such tunnels, not known to have ended
  bool everywhere = false;   // durable, and in force on every edge that may be serving
  Edges::Answer edges;       // what is known of them
  std::string problem;       // empty when durable, everywhere and recorded
  std::unique_ptr<Cut> cut;  // under way; AwaitCut tells what came of it
  RevocationRequest first;   // of those named
  std::optional<CutReport> report;  // when that was awaited already
};

class RevocationDesk {
 public:
  struct Options {
    std::chrono::seconds margin{60};  // entries outlive tokens by this, for clocks set back
  };
  // All of it outlives the desk.
  struct Parts {
    Edge& edge;
    revocation::Denylist& denylist;
    store::Store& store;
    base::Worker& store_worker;
    const Recorder& recorder;
    Metrics& metrics;
    const base::Clock& clock;
    const Sharing* sharing = nullptr;  // null: the store is this edge's own
  };
  RevocationDesk(Parts parts, Options options) : parts_(parts), options_(options) {}

  // Reads the store's entries into the denylist. Call once at start.
  base::Status Load();

  // What a follower of a shared store calls, on one thread. Both begin to cut the streams of those
  // who are revoked; AwaitCut tells what came of it.
  // Everything that is stored, as it was read at one moment:
  class Reading {
   public:
    void Take(store::RevokedKind kind, const std::string& id);

   private:
    friend class RevocationDesk;
    std::vector<revocation::Key> keys_;
    bool everything_ = false;
  };
  Revoked Replace(Reading reading, std::uint64_t seq);
  // The next changes, oldest first. nullopt: none of them revokes.
  std::optional<Revoked> Follow(const std::vector<store::Change>& changes);

  // An id that is not known is accepted, so that a revoke never depends on what this edge
  // remembers.
  base::StatusOr<Revoked> Revoke(const RevocationRequest& request) { return RevokeAll({request}); }
  // One to kMaxAtOnce; kInvalidArgument names the first that makes no sense by its place, from 1.
  base::StatusOr<Revoked> RevokeAll(const std::vector<RevocationRequest>& requests);
  // Waits, where there are tunnels among them that are asked about once, until all have ended.
  static void AwaitVetted(Revoked& revoked);
  // Waits until the streams of those revoked have ended, or patience has, and records what came of
  // it. To be called once for each answer.
  CutReport AwaitCut(const Revoked& revoked);
  // Removes exactly these entries; what stands under another kind still denies. kNotFound, and
  // nothing changed, when one of them is not in force.
  base::Status Restore(const RevocationRequest& request) { return RestoreAll({request}); }
  base::Status RestoreAll(const std::vector<RevocationRequest>& requests);
  // What is stored and in force, oldest first.
  base::StatusOr<std::vector<store::RevocationRow>> List();

  // ok when no entry stands in the way of this session; else kFailedPrecondition names the entry
  // and the command that takes it back.
  base::Status CheckStanding(const store::SessionRow& row) const;

  // Forgets entries that ended before `cutoff`. On the store worker's thread.
  base::Status Prune(base::UnixSeconds cutoff);

 private:
  void PutAllInForce(Reading reading, std::uint64_t seq);
  void TellOfDenylist();
  void PutInForce(const std::vector<RevocationRequest>& requests) REQUIRES(mutex_);
  void TakeOut(const store::RevocationKey& key) REQUIRES(mutex_);
  void DenyAndCut(const std::vector<RevocationRequest>& requests, Revoked& revoked);
  base::StatusOr<std::uint64_t> Store(const std::vector<RevocationRequest>& requests,
                                      Revoked& revoked);
  void StoredOrNot(const std::vector<RevocationRequest>& requests,
                   const base::StatusOr<std::uint64_t>& stored);
  void AwaitEdges(std::uint64_t seq, Revoked& revoked);
  store::RevocationRow RowOf(const RevocationRequest& request);
  // The number of the deletion, or 0 when it is not all that the sequence has to tell.
  base::StatusOr<std::uint64_t> Unstore(const std::vector<RevocationRequest>& requests);
  base::StatusOr<std::uint64_t> Delete(const std::vector<store::RevocationKey>& keys);
  base::Status Record(const char* activity, const std::vector<RevocationRequest>& requests) const;

  const Parts parts_;
  const Options options_;
  base::Mutex mutex_;  // held while what is in force changes
  HeldRevocations held_ GUARDED_BY(mutex_);
};

}  // namespace exeat::ops
