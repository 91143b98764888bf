#include "guardian/link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr timeval kLongestSend{1, 0};

Status SendRecord(int fd, const std::string& record, int extra) {
  ssize_t sent = 0;
  do {
    sent = send(fd, record.data(), record.size(), MSG_NOSIGNAL | extra);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ErrnoStatus(errno, "link");
  return absl::OkStatus();
}

// One record; nullopt when none waits (only with MSG_DONTWAIT).
StatusOr<std::optional<std::string>> ReceiveRecord(int fd) {
  std::string record(kMaxLinkMessageBytes, '\0');
  ssize_t got = 0;
  do {
    got = recv(fd, record.data(), record.size(), MSG_DONTWAIT | MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<std::string>();
  if (got < 0) return ErrnoStatus(errno, "link");
  if (got == 0) return MakeStatus(StatusCode::kUnavailable, "link: closed by the other side");
  if (static_cast<std::size_t>(got) > record.size()) {
    return MakeStatus(StatusCode::kInvalidArgument, "link: record too large");
  }
  record.resize(static_cast<std::size_t>(got));
  return std::optional<std::string>(std::move(record));
}

}  // namespace

StatusOr<GuardianLink::Pair> GuardianLink::Open() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return ErrnoStatus(errno, "socketpair");
  }
  return Pair{GuardianLink(UniqueFd(ends[0])), UniqueFd(ends[1])};
}

StatusOr<std::optional<ToGuardian>> GuardianLink::Receive() {
  ASSIGN_OR_RETURN(const std::optional<std::string> record, ReceiveRecord(fd_.get()));
  if (!record) return std::optional<ToGuardian>();
  ASSIGN_OR_RETURN(ToGuardian message, DecodeToGuardian(*record));
  return std::optional<ToGuardian>(std::move(message));
}

Status GuardianLink::Send(const ToControl& message) {
  ASSIGN_OR_RETURN(const std::string record, Encode(message));
  return SendRecord(fd_.get(), record, MSG_DONTWAIT);
}

StatusOr<std::unique_ptr<ControlLink>> ControlLink::Adopt(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      "the link descriptor is not the guardian's socket; `exeat up` starts this "
                      "process, it is not for the command line");
  }
  UniqueFd owned(fd);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kLongestSend, sizeof(kLongestSend)) != 0) {
    return ErrnoStatus(errno, "link");
  }
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd");
  return std::unique_ptr<ControlLink>(new ControlLink(std::move(owned), std::move(wake)));
}

ControlLink::~ControlLink() { eventfd_write(wake_.get(), 1); }

void ControlLink::Listen(std::function<void(const ToControl&)> on_message,
                         std::function<void()> on_closed) {
  reader_ = std::jthread([this, message = std::move(on_message), closed = std::move(on_closed)] {
    ReadUntilClosed(message, closed);
  });
}

Status ControlLink::Send(const ToGuardian& message) {
  ASSIGN_OR_RETURN(const std::string record, Encode(message));
  return SendRecord(fd_.get(), record, 0);
}

void ControlLink::ReadUntilClosed(const std::function<void(const ToControl&)>& on_message,
                                  const std::function<void()>& on_closed) {
  while (true) {
    std::array<pollfd, 2> waits{pollfd{fd_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
    if (waits[1].revents != 0) return;
    if (waits[0].revents == 0) continue;
    const StatusOr<std::optional<std::string>> record = ReceiveRecord(fd_.get());
    if (!record.ok()) break;
    if (!*record) continue;
    const StatusOr<ToControl> message = DecodeToControl(**record);
    if (!message.ok()) {
      base::LogError("link broken", {{"error", base::Message(message.status())}});
      break;
    }
    on_message(*message);
  }
  on_closed();
}

BeatThread::BeatThread(ControlLink& link, const base::Clock& clock, std::function<bool()> healthy,
                       std::chrono::milliseconds interval)
    : link_(link), clock_(clock), healthy_(std::move(healthy)), interval_(interval) {
  thread_ = std::jthread([this] { Run(); });
}

BeatThread::~BeatThread() { (void)stop_.Stop(); }

void BeatThread::Run() {
  do {
    // A beat that cannot be sent is silence, and what silence means is the guardian's to decide.
    if (healthy_()) (void)link_.Send(Beat{clock_.BootNow().count()});
  } while (stop_.Pause(interval_));
}

}  // namespace exeat::guardian
