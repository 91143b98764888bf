// Keeps what is open, and has the guardian end what must not go on.
//
// Order:     whoever denies puts the denial in force first and calls Begin after it.
// Evidence:  a connection has ended when Envoy let go of its descriptor (the guardian's word), or
//            when no stream is open on it (Envoy's end records) and the kernel holds it no more;
//            until then it counts as open.
// Again:     what was not seen to end is looked at every second, and cut again while it is still
//            denied.
// Bounded:   where sockets cannot be cut, or the policy does not want it, every stream is given an
//            end when it opens, and a revoke says how long what it denied may go on.
// Threads:   safe concurrently; Heard runs on the link's thread, Keep on one.
// Source:    docs/walkthroughs/revoke.md, docs/adr/0015-open-streams.md
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "authz/decision.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "guardian/link_message.h"
#include "guardian/socket_table.h"
#include "limits/open_streams.h"
#include "operator/edge.h"
#include "operator/metrics.h"
#include "operator/stream_ending.h"
#include "policy/policy.h"

namespace exeat {

class StreamCutter {
 public:
  struct Parts {
    std::function<base::Status(const guardian::CutSockets&)> send;  // to the guardian
    std::function<void(const ops::CutReport&)> expired;  // streams that a token's end cut
    const policy::Streams wanted;
    ops::Metrics& metrics;
    const base::Clock& clock;
  };
  explicit StreamCutter(Parts parts);

  limits::OpenStreams& streams() { return streams_; }
  // As it holds for the Envoy that runs; until it is known, sockets cannot be cut.
  std::shared_ptr<const ops::StreamEnding> ending() const { return ending_.Get(); }

  // A guest's connection, as Check heard of it. One that the kernel does not show, for a load
  // balancer in front or another network namespace, stays unknown.
  void Connected(const base::SocketEnd& local, const base::SocketEnd& remote,
                 std::string_view peer);

  // Registers a stream that was allowed. What is bounded need not be on a known connection.
  limits::Admission Open(std::string_view peer, std::string_view id, limits::OpenStream stream);

  std::unique_ptr<ops::Cut> Begin(limits::Whose whose);
  // Ends what a token's end denies and what should have ended before, and forgets connections that
  // are gone. Call every tenth of a second.
  void Keep(const authz::Snapshot& snapshot);

  void Heard(const guardian::SocketsCut& answer);
  void EnvoyStarted(const guardian::EnvoyStarted& started);
  // Nothing of it is open any more.
  void EnvoyEnded();

 private:
  class Running;
  struct Table {
    bool Holds(const base::SocketId& id);
    base::Mutex mutex;
    // Not ok where the kernel shows none.
    base::StatusOr<guardian::SocketTable> sockets GUARDED_BY(mutex) = guardian::SocketTable::Open();
  };
  void End(bool sockets_can_be_cut, std::string_view means);
  void Send(const std::vector<base::SocketId>& sockets);
  void ForgetGone(const std::vector<base::SocketId>& sockets);
  void CutExpired(std::chrono::seconds skew);
  void CutAgain(const authz::Snapshot& snapshot);
  void Sweep();

  const Parts parts_;
  limits::OpenStreams streams_;
  Table asked_;  // by every connection
  Table swept_;  // a list of all takes long, and nobody's connection waits for it
  const bool can_name_;
  base::Published<std::shared_ptr<const ops::StreamEnding>> ending_;
  std::atomic<std::uint64_t> batch_{0};
  base::Mutex unproved_mutex_;
  std::unordered_set<std::uint64_t> unproved_ GUARDED_BY(unproved_mutex_);  // cookies
  int ticks_ = 0;                                                           // Keep's
  std::size_t swept_count_ = 0;  // connections that the last sweep left
};

}  // namespace exeat
