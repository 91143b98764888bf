// The other edges of a shared store: which of them have put a change in force, and which cannot be
// serving any more.
//
// Order:      an edge's lease is ended only after its renewals have stood still here, from after
//             the change was committed, for longer than it can begin an allow.
// Errors:     kDeadlineExceeded some edge goes on renewing without having put the change in force,
//             or the store cannot say: nothing may be acknowledged; kUnavailable the end of this
//             edge.
// Units:      time is CLOCK_BOOTTIME.
// Threads:    safe concurrently; the store is touched on the worker's thread only.
// Source:     docs/adr/0014-shared-store.md
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/stop_signal.h"
#include "base/worker.h"
#include "revocation/lease.h"
#include "store/store.h"

namespace exeat::ops {

// For how long each edge's renewals have been seen to stand still.
class StandingStill {
 public:
  base::BootTime Saw(const store::EdgeLease& lease, base::BootTime now);
  void Forget(const std::string& edge) { seen_.erase(edge); }

 private:
  struct Seen {
    std::uint64_t renewals = 0;
    base::BootTime since{0};
  };
  std::map<std::string, Seen> seen_;
};

class Edges {
 public:
  struct Options {
    std::string self;
    std::chrono::milliseconds over = revocation::kLease + revocation::kLastAllow;
    std::chrono::milliseconds patience{10'000};
  };
  // All of it outlives this.
  struct Parts {
    store::Store& store;
    base::Worker& store_worker;
    const base::Clock& clock;
  };
  struct Answer {
    std::uint32_t in_force = 1;  // edges that have put it in force, this one among them
    std::uint32_t ended = 0;     // edges whose lease was over
  };
  Edges(Parts parts, Options options) : parts_(parts), options_(std::move(options)) {}

  // Waits until every edge has put the change `seq`, which is committed and in force here, in force
  // or cannot be serving. To be called after the commit.
  base::StatusOr<Answer> Await(std::uint64_t seq);

  // Lets everybody go who waits.
  void Stop() { (void)stop_.Stop(); }

 private:
  // The edge that is still waited for; empty: none.
  base::StatusOr<std::string> Look(std::uint64_t seq, StandingStill& still, Answer& answer);

  const Parts parts_;
  const Options options_;
  base::StopSignal stop_;
};

}  // namespace exeat::ops
