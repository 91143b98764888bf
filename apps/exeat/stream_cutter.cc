#include "stream_cutter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "authz/stream_right.h"
#include "base/log.h"

namespace exeat {
namespace {

// One that Envoy was given in between is cut by the next look.
constexpr std::chrono::milliseconds kLookAgain{50};
constexpr int kTicksPerSecondLook = 10;
constexpr int kTicksPerSweep = 20;
// So many new connections since the last sweep are swept at once: most may be gone already.
constexpr std::size_t kSweepAfter = 4096;

}  // namespace

bool StreamCutter::Table::Holds(const base::SocketId& id) {
  base::MutexLock lock(mutex);
  if (!sockets.ok()) return true;
  const auto found = sockets->FindSocket(id.local, id.remote);
  if (found.ok()) return found->cookie == id.cookie;
  return found.status().code() != base::StatusCode::kNotFound;
}

// Streams that are being ended; looks again while it waits, for a socket that was not found at
// first.
class StreamCutter::Running final : public ops::Cut {
 public:
  Running(StreamCutter& owner, limits::Whose whose)
      : owner_(owner),
        whose_(std::move(whose)),
        started_(owner.parts_.clock.BootNow()),
        ending_(owner.ending()) {
    found_ = owner_.streams_.Find([this](const limits::OpenStream& stream) {
      const bool meant = whose_(stream);
      if (meant && stream.is_vetted) ++vetted_;
      return meant;
    });
    open_ = found_.streams + found_.unreachable;
    if (cuts()) owner_.Send(found_.sockets);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() override {
    if (!cuts()) return;
    base::MutexLock lock(owner_.unproved_mutex_);
    for (const base::SocketId& socket : found_.sockets) owner_.unproved_.insert(socket.cookie);
  }

  std::size_t vetted() const override { return vetted_; }

  ops::CutReport Wait(std::chrono::milliseconds patience) override {
    const base::Clock& clock = owner_.parts_.clock;
    Await(patience);
    ops::CutReport report;
    report.uncut = left();
    report.open = std::max(open_, report.uncut);
    report.took = clock.BootNow() - started_;
    report.ends_within = ending_->bound;
    owner_.parts_.metrics.StreamsCut(report.open - report.uncut, report.uncut);
    if (report.open > 0 && report.uncut == 0) owner_.parts_.metrics.CutTook(report.took);
    if (report.uncut > 0) {
      base::LogError("streams that must end are still open",
                     {{"open", std::to_string(report.uncut)}, {"means", ending_->words}});
    }
    return report;
  }

 private:
  bool cuts() const { return ending_->how == ops::StreamEnding::How::kCut; }

  // Where nothing is cut, nothing happens to a connection that only carried such a stream.
  std::size_t left() const { return cuts() ? found_.left() : found_.streams + found_.unreachable; }

  void Await(std::chrono::milliseconds patience) {
    const base::Clock& clock = owner_.parts_.clock;
    const base::BootTime deadline = started_ + patience;
    while (left() > 0) {
      const auto wait = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.BootNow());
      owner_.streams_.AwaitGone(found_, std::clamp(wait, std::chrono::milliseconds(0), kLookAgain),
                                clock);
      found_ = owner_.streams_.Find(whose_);
      if (left() == 0 || wait <= std::chrono::milliseconds(0)) break;
      owner_.ForgetGone(found_.sockets);
      if (cuts()) owner_.Send(found_.sockets);
    }
  }

  StreamCutter& owner_;
  const limits::Whose whose_;
  const base::BootTime started_;
  const std::shared_ptr<const ops::StreamEnding> ending_;
  limits::OpenStreams::Found found_;  // at the last look
  std::size_t open_ = 0;
  std::size_t vetted_ = 0;
};

StreamCutter::StreamCutter(Parts parts)
    : parts_(std::move(parts)), can_name_([this] {
        base::MutexLock lock(asked_.mutex);
        return asked_.sockets.ok();
      }()) {
  End(false, "none: Envoy has not started");
}

void StreamCutter::Connected(const base::SocketEnd& local, const base::SocketEnd& remote,
                             std::string_view peer) {
  const auto socket = [&] {
    base::MutexLock lock(asked_.mutex);
    return asked_.sockets.ok() ? asked_.sockets->FindSocket(local, remote)
                               : asked_.sockets.status();
  }();
  if (!socket.ok()) return streams_.Refuse(peer);
  // The kernel may have given the guest's port to another connection.
  std::vector<std::uint64_t> former;
  for (const base::SocketId& one : streams_.SocketsOf(peer)) {
    if (one.cookie != socket->cookie && !asked_.Holds(one)) former.push_back(one.cookie);
  }
  if (!former.empty()) streams_.Closed(former);
  streams_.Connected(peer, *socket);
}

limits::Admission StreamCutter::Open(std::string_view peer, std::string_view id,
                                     limits::OpenStream stream) {
  const auto ending = this->ending();
  switch (ending->how) {
    case ops::StreamEnding::How::kRefused:
      return limits::Begun::kUnknownConnection;
    case ops::StreamEnding::How::kCut:
      return streams_.Begin(peer, id, std::move(stream));
    case ops::StreamEnding::How::kBounded:
      break;
  }
  stream.over_by = parts_.clock.BootNow() + ending->bound;
  limits::Begun begun = streams_.Begin(peer, id, stream);
  if (begun == limits::Begun::kUnknownConnection) {
    begun = streams_.BeginUnreachable(id, std::move(stream));
  }
  return {begun, ending->lasts};
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

void StreamCutter::ForgetGone(const std::vector<base::SocketId>& sockets) {
  std::vector<std::uint64_t> gone;
  for (const base::SocketId& socket : sockets) {
    if (!swept_.Holds(socket)) gone.push_back(socket.cookie);
  }
  streams_.Gone(gone, parts_.clock.BootNow());
}

void StreamCutter::Keep(const authz::Snapshot& snapshot) {
  ++ticks_;
  if (ending()->how == ops::StreamEnding::How::kCut) {
    CutExpired(snapshot.policy->sessions.skew);
    if (ticks_ % kTicksPerSecondLook == 0) CutAgain(snapshot);
  }
  const bool is_crowded = streams_.connections() > swept_count_ + kSweepAfter;
  if (is_crowded || ticks_ % kTicksPerSweep == 0) Sweep();
  parts_.metrics.SetOpenStreams(streams_.streams());
}

void StreamCutter::CutExpired(std::chrono::seconds skew) {
  const base::UnixSeconds cutoff = parts_.clock.UnixNow() - skew.count();
  const auto found = streams_.FindExpired(cutoff);
  if (found.sockets.empty()) return;
  const base::BootTime started = parts_.clock.BootNow();
  Send(found.sockets);
  streams_.AwaitGone(found, kLookAgain, parts_.clock);
  const std::size_t left = streams_.FindExpired(cutoff).streams;
  if (left >= found.streams) return;
  parts_.metrics.StreamsCut(found.streams - left, 0);
  parts_.expired({found.streams, left, parts_.clock.BootNow() - started});
}

void StreamCutter::CutAgain(const authz::Snapshot& snapshot) {
  std::unordered_set<std::uint64_t> unproved;
  {
    base::MutexLock lock(unproved_mutex_);
    unproved.swap(unproved_);
  }
  if (!unproved.empty()) {
    const limits::Whose denied = [&](const limits::OpenStream& stream) {
      return !authz::HasRight(stream, snapshot);
    };
    std::vector<base::SocketId> sockets = streams_.Find(denied).sockets;
    std::erase_if(sockets, [&](const auto& socket) { return !unproved.contains(socket.cookie); });
    if (!sockets.empty()) {
      base::LogError("connections that must end are still open: cutting them again",
                     {{"open", std::to_string(sockets.size())}});
      Send(sockets);
    }
    base::MutexLock lock(unproved_mutex_);
    for (const base::SocketId& socket : sockets) unproved_.insert(socket.cookie);
  }
  base::MutexLock lock(unproved_mutex_);
  parts_.metrics.SetConnectionsUncut(unproved_.size());
}

void StreamCutter::Sweep() {
  streams_.ForgetOverdue(parts_.clock.BootNow());
  if (!can_name_) return;
  base::StatusOr<std::unordered_set<std::uint64_t>> alive = [&] {
    base::MutexLock lock(swept_.mutex);
    return swept_.sockets.ok() ? swept_.sockets->ListSockets() : swept_.sockets.status();
  }();
  if (!alive.ok()) {
    base::LogWarn("the kernel's sockets cannot be listed",
                  {{"error", base::Message(alive.status())}});
    return;
  }
  streams_.Sweep(
      *alive, [this](const base::SocketId& socket) { return swept_.Holds(socket); },
      parts_.clock.BootNow());
  swept_count_ = streams_.connections();
}

void StreamCutter::Heard(const guardian::SocketsCut& answer) { streams_.Closed(answer.closed); }

void StreamCutter::EnvoyStarted(const guardian::EnvoyStarted& started) {
  End(started.cut_means != 0 && can_name_,
      can_name_ || started.cut_means == 0 ? started.cutting : "none: control cannot name sockets");
  parts_.metrics.SetCutMeans(can_name_ ? started.cut_means : 0);
  const auto ending = this->ending();
  parts_.metrics.SetCutBound(ending->bound);
  if (ending->words.starts_with("none")) {
    base::LogError("open streams cannot be cut here", {{"means", ending->words}});
  } else {
    base::LogInfo("how a revoke ends open streams", {{"means", ending->words}});
  }
}

void StreamCutter::EnvoyEnded() {
  End(false, "none: Envoy has ended");
  streams_.Clear();
}

void StreamCutter::End(bool sockets_can_be_cut, std::string_view means) {
  ending_.Set(std::make_shared<const ops::StreamEnding>(
      ops::EndStreamsBy(parts_.wanted, sockets_can_be_cut, means)));
}

}  // namespace exeat
