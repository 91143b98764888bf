// The running edge as the operator's API sees it.
//
// Why here:   the composition root implements it over Envoy, keys and resolver; the desks stay free
//             of all three, so that every rule of theirs is testable with a fake.
// Errors:     Publish and PublishKeys: kFailedPrecondition Envoy refused, in Envoy's words, and the
//             last good is back in force; kUnavailable no Envoy is connected: nothing was applied;
//             kDeadlineExceeded no answer in time: Check denies while what is in force is not
//             known.
// Threads:    every method is safe concurrently.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "authz/decision.h"
#include "base/status.h"
#include "limits/open_streams.h"
#include "policy/policy.h"

namespace exeat::ops {

struct ProcessStatus {
  std::string role;  // "guardian", "control", "envoy"
  pid_t pid = 0;
};

// Of the store that keeps sessions and revocations.
struct StoreStatus {
  bool shared = false;                 // by edges: the rest means something then alone
  base::Status up;                     // whether it answered when it was last asked
  std::chrono::milliseconds lease{0};  // what is left of it; without one everything is denied
  std::uint64_t applied = 0;           // the newest change that is in force here
  std::size_t edges = 0;               // that hold a lease, this one among them
  base::Status policy;                 // why the revision stored last is not in force here
};

struct EdgeStatus {
  bool ready = false;  // every listener answers
  std::vector<ProcessStatus> processes;
  std::string proxy_address;        // where it really listens, IP:PORT; empty when off
  std::string transparent_address;  // likewise
  std::string envoy_version;
  std::string confinement;  // how Envoy is kept from state and secrets: "uid", "landlock", "none"
  std::string stream_cutting;         // as StreamEnding::words; empty while no Envoy has run
  std::chrono::seconds cut_bound{0};  // as StreamEnding::bound
  std::uint64_t nacks = 0;
  std::string last_nack;  // Envoy's words; empty when there was none
  std::size_t leaves = 0;
  StoreStatus store;
};

// What came of ending the streams of those who lost the right to them.
struct CutReport {
  std::size_t open = 0;   // when it began
  std::size_t uncut = 0;  // not known to have ended when the wait was over
  std::chrono::nanoseconds took{0};
  std::chrono::seconds ends_within{0};  // what is uncut, by itself; zero: nothing bounds it
};

// How long an answer to the operator waits for streams to end.
inline constexpr std::chrono::milliseconds kCutPatience{1000};

// Streams that are being ended.
class Cut {
 public:
  virtual ~Cut() = default;
  // Returns once Envoy has let go of every one of them, or `patience` is over.
  virtual CutReport Wait(std::chrono::milliseconds patience) = 0;
  // Tunnels among them whose requests are not asked about: what denies is in force for these only
  // once they have ended.
  virtual std::size_t vetted() const = 0;
};

class Edge {
 public:
  virtual ~Edge() = default;

  // What decisions are made from at this moment.
  virtual authz::Snapshot Current() const = 0;

  // Builds Envoy's configuration for `candidate`, pushes it and waits for the acknowledgement.
  virtual base::Status Publish(policy::PolicyPtr candidate, std::uint64_t revision) = 0;

  // Makes the present public signing keys the ones that verify, here and in Envoy, and waits for
  // the acknowledgement.
  virtual base::Status PublishKeys() = 0;

  virtual EdgeStatus Status() const = 0;

  // PEM of the certificate authority that guests trust.
  virtual std::string CaCertificate() const = 0;

  // The denylist is another one than before. Cheap; waits for Envoy only where a session that was
  // given back stood on Envoy's own list.
  virtual void DenylistChanged() = 0;

  // Begins to end every open stream that is meant. What denies new ones must be in force.
  virtual std::unique_ptr<Cut> CutStreams(limits::Whose whose) = 0;
};

}  // namespace exeat::ops
