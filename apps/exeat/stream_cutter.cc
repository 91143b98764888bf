#include "stream_cutter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace exeat {
namespace {

// One that Envoy was given in between is cut by the next look.
constexpr std::chrono::milliseconds kLookAgain{50};

}  // namespace

// Streams that are being ended; looks again while it waits, for a socket that was not found at
// first.
class StreamCutter::Running final : public ops::Cut {
 public:
  Running(StreamCutter& owner, limits::Whose whose)
      : owner_(owner), whose_(std::move(whose)), started_(owner.parts_.clock.BootNow()) {
    const auto found = owner_.streams_.Find(whose_);
    open_ = found.streams + found.unreachable;
    owner_.Send(found.sockets);
  }

  ops::CutReport Wait(std::chrono::milliseconds patience) override {
    const base::Clock& clock = owner_.parts_.clock;
    const base::BootTime deadline = started_ + patience;
    ops::CutReport report;
    report.open = open_;
    while (open_ > 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.BootNow());
      report.uncut = owner_.streams_.AwaitNone(
          whose_, std::clamp(left, std::chrono::milliseconds(0), kLookAgain), clock);
      if (report.uncut == 0 || left <= std::chrono::milliseconds(0)) break;
      owner_.Send(owner_.streams_.Find(whose_).sockets);
    }
    report.open = std::max(report.open, report.uncut);
    report.took = clock.BootNow() - started_;
    owner_.parts_.metrics.StreamsCut(report.open - report.uncut, report.uncut);
    if (report.open > 0 && report.uncut == 0) owner_.parts_.metrics.CutTook(report.took);
    if (report.uncut > 0) {
      base::LogError("streams that must end are still open",
                     {{"open", std::to_string(report.uncut)}});
    }
    return report;
  }

 private:
  StreamCutter& owner_;
  const limits::Whose whose_;
  const base::BootTime started_;
  std::size_t open_ = 0;
};

base::StatusOr<std::unique_ptr<StreamCutter>> StreamCutter::Make(Parts parts) {
  ASSIGN_OR_RETURN(guardian::SocketTable table, guardian::SocketTable::Open());
  return std::unique_ptr<StreamCutter>(new StreamCutter(std::move(parts), std::move(table)));
}

void StreamCutter::Connected(const base::SocketEnd& local, const base::SocketEnd& remote,
                             std::string_view peer, limits::OpenStreams::Leg leg) {
  base::MutexLock lock(table_mutex_);
  const auto socket = table_.FindSocket(local, remote);
  if (socket.ok()) {
    streams_.Connected(peer, *socket, leg);
  } else {
    streams_.Forget(peer);
  }
}

std::unique_ptr<ops::Cut> StreamCutter::Begin(limits::Whose whose) {
  return std::make_unique<Running>(*this, std::move(whose));
}

void StreamCutter::Send(const std::vector<base::SocketId>& sockets) {
  for (std::size_t at = 0; at < sockets.size(); at += guardian::kMaxSocketsPerCut) {
    const auto from = sockets.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to = from + static_cast<std::ptrdiff_t>(
                               std::min(guardian::kMaxSocketsPerCut, sockets.size() - at));
    const base::Status sent = parts_.send({++batch_, {from, to}});
    if (!sent.ok()) base::LogError("streams cannot be cut", {{"error", base::Message(sent)}});
  }
}

void StreamCutter::CutExpired(std::chrono::seconds skew) {
  const base::UnixSeconds now = parts_.clock.UnixNow();
  const limits::Whose expired = [&](const limits::OpenStream& stream) {
    return stream.claims->exp + skew.count() <= now;
  };
  const auto found = streams_.Find(expired);
  if (!found.sockets.empty()) {
    Send(found.sockets);
    const std::size_t open = found.streams + found.unreachable;
    const std::size_t left = streams_.AwaitNone(expired, kLookAgain, parts_.clock);
    parts_.metrics.StreamsCut(open - std::min(open, left), 0);
  }
  parts_.metrics.SetOpenStreams(streams_.streams());
}

void StreamCutter::Sweep() {
  base::StatusOr<std::unordered_set<std::uint64_t>> alive = [&] {
    base::MutexLock lock(table_mutex_);
    return table_.ListSockets();
  }();
  if (!alive.ok()) {
    base::LogWarn("the kernel's sockets cannot be listed",
                  {{"error", base::Message(alive.status())}});
    return;
  }
  streams_.Sweep(*alive, parts_.clock.BootNow());
}

void StreamCutter::Heard(const guardian::SocketsCut& answer) { streams_.Closed(answer.closed); }

void StreamCutter::EnvoyStarted(const guardian::EnvoyStarted& started) {
  const bool can = started.cut_means != 0;
  parts_.metrics.SetCutMeans(started.cut_means);
  if (can) {
    base::LogInfo("open streams are cut", {{"means", started.cutting}});
  } else {
    base::LogError("open streams cannot be cut here", {{"means", started.cutting}});
  }
}

}  // namespace exeat
