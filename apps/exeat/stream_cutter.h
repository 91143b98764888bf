// Keeps what is open, and has the guardian end what must not go on.
//
// Order:     whoever denies puts the denial in force first and calls Begin after it.
// Evidence:  a stream has ended when Envoy let go of its descriptor (the guardian's word) or wrote
//            its end record; until then it counts as open.
// Threads:   safe concurrently; Heard runs on the link's thread.
// Source:    docs/walkthroughs/revoke.md, docs/adr/0015-open-streams.md
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

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
    ops::Metrics& metrics;
    const base::Clock& clock;
  };
  // kUnavailable when the kernel's socket table cannot be read.
  static base::StatusOr<std::unique_ptr<StreamCutter>> Make(Parts parts);

  limits::OpenStreams& streams() { return streams_; }

  // A guest's connection, as Check heard of it. One that the kernel does not show, for a load
  // balancer in front or another network namespace, stays unknown.
  void Connected(const base::SocketEnd& local, const base::SocketEnd& remote, std::string_view peer,
                 limits::OpenStreams::Leg leg);

  std::unique_ptr<ops::Cut> Begin(limits::Whose whose);
  // Ends the streams whose token is over. Call a few times a second.
  void CutExpired(std::chrono::seconds skew);
  // Forgets connections whose end was lost. Call every few seconds.
  void Sweep();

  void Heard(const guardian::SocketsCut& answer);
  void EnvoyStarted(const guardian::EnvoyStarted& started);
  // Nothing of it is open any more.
  void EnvoyEnded() { streams_.Clear(); }

 private:
  class Running;
  StreamCutter(Parts parts, guardian::SocketTable table)
      : parts_(std::move(parts)), table_(std::move(table)) {}
  void Send(const std::vector<base::SocketId>& sockets);

  const Parts parts_;
  limits::OpenStreams streams_;
  base::Mutex table_mutex_;
  guardian::SocketTable table_ GUARDED_BY(table_mutex_);
  std::atomic<std::uint64_t> batch_{0};
};

}  // namespace exeat
