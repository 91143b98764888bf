// Keeps what is open, and has the guardian end what must not go on.
//
// Order:     whoever denies puts the denial in force first and calls Begin after it.
// Evidence:  a connection has ended when Envoy let go of its descriptor (the guardian's word), or
//            when no stream is open on it (Envoy's end records) and the kernel holds it no more;
//            until then it counts as open.
// Again:     what was not seen to end is looked at every second, and cut again while it is still
//            denied.
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

namespace exeat {

class StreamCutter {
 public:
  struct Parts {
    std::function<base::Status(const guardian::CutSockets&)> send;  // to the guardian
    std::function<void(const ops::CutReport&)> expired;  // streams that a token's end cut
    ops::Metrics& metrics;
    const base::Clock& clock;
  };
  // kUnavailable when the kernel's socket table cannot be read.
  static base::StatusOr<std::unique_ptr<StreamCutter>> Make(Parts parts);

  limits::OpenStreams& streams() { return streams_; }

  // A guest's connection, as Check heard of it. One that the kernel does not show, for a load
  // balancer in front or another network namespace, stays unknown.
  void Connected(const base::SocketEnd& local, const base::SocketEnd& remote,
                 std::string_view peer);

  std::unique_ptr<ops::Cut> Begin(limits::Whose whose);
  // Ends what a token's end denies and what should have ended before, and forgets connections that
  // are gone. Call every tenth of a second.
  void Keep(const authz::Snapshot& snapshot);

  void Heard(const guardian::SocketsCut& answer);
  void EnvoyStarted(const guardian::EnvoyStarted& started);
  // Nothing of it is open any more.
  void EnvoyEnded() { streams_.Clear(); }

 private:
  class Running;
  struct Table {
    explicit Table(guardian::SocketTable opened) : sockets(std::move(opened)) {}
    bool Holds(const base::SocketId& id);
    base::Mutex mutex;
    guardian::SocketTable sockets GUARDED_BY(mutex);
  };
  StreamCutter(Parts parts, guardian::SocketTable asked, guardian::SocketTable swept)
      : parts_(std::move(parts)), asked_(std::move(asked)), swept_(std::move(swept)) {}
  void Send(const std::vector<base::SocketId>& sockets);
  void ForgetGone(const std::vector<base::SocketId>& sockets);
  void CutExpired(std::chrono::seconds skew);
  void CutAgain(const authz::Snapshot& snapshot);
  void Sweep();

  const Parts parts_;
  limits::OpenStreams streams_;
  Table asked_;  // by every connection
  Table swept_;  // a list of all takes long, and nobody's connection waits for it
  std::atomic<std::uint64_t> batch_{0};
  base::Mutex unproved_mutex_;
  std::unordered_set<std::uint64_t> unproved_ GUARDED_BY(unproved_mutex_);  // cookies
  int ticks_ = 0;                                                           // Keep's
  std::size_t swept_count_ = 0;  // connections that the last sweep left
};

}  // namespace exeat
