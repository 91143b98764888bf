// The socket pair between guardian and control: either end sees the other's end at once.
//
// Why here:   both ends in one file, so they cannot drift apart.
// Errors:     kUnavailable the other side is gone or does not read; kInvalidArgument a message
//             that is malformed or too large. After an error from Receive the link is of no use.
// Fail mode:  guardian: a broken link kills control. Control: a broken link means that no one
//             guards Envoy any more, so `on_closed` should end the process.
// Threads:    ControlLink's Send is safe concurrently; GuardianLink belongs to one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"
#include "base/status.h"
#include "base/stop_signal.h"
#include "guardian/link_message.h"

namespace exeat::guardian {

inline constexpr std::chrono::milliseconds kBeatInterval{200};

// The guardian's end: never blocks, so that a control which stopped reading cannot stop the
// watchdog.
class GuardianLink {
 public:
  struct Pair;
  // A fresh pair, both ends close-on-exec.
  static base::StatusOr<Pair> Open();

  int fd() const { return fd_.get(); }
  // The next message; nullopt when none waits.
  base::StatusOr<std::optional<ToGuardian>> Receive();
  base::Status Send(const ToControl& message);

 private:
  explicit GuardianLink(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

struct GuardianLink::Pair {
  GuardianLink guardian;
  base::UniqueFd control;  // for the child, which adopts it by number
};

// Control's end.
class ControlLink {
 public:
  // Takes over the descriptor that was inherited under this number; kInvalidArgument when it is no
  // SOCK_SEQPACKET socket, so a mistyped number cannot be mistaken for a guardian.
  static base::StatusOr<std::unique_ptr<ControlLink>> Adopt(int fd);

  // Stops the reading thread; must not be called on it.
  ~ControlLink();
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  // Starts the reading thread, on which both functions are called: `on_message` for each message,
  // then `on_closed` once if the guardian ends or the link breaks. Call it once.
  void Listen(std::function<void(const ToControl&)> on_message, std::function<void()> on_closed);

  // Sends whole or not at all; waits at most a second for a guardian that does not read.
  base::Status Send(const ToGuardian& message);

 private:
  ControlLink(base::UniqueFd fd, base::UniqueFd wake)
      : fd_(std::move(fd)), wake_(std::move(wake)) {}
  void ReadUntilClosed(const std::function<void(const ToControl&)>& on_message,
                       const std::function<void()>& on_closed);

  base::UniqueFd fd_;
  base::UniqueFd wake_;  // an eventfd that ends the reader
  std::jthread reader_;
};

// Beats for control, the first at once. A beat says "decisions are being made": `healthy` is asked
// before each, on this thread, and while it answers false nothing is sent, so a beat must never
// come from a thread that runs on while the decision path hangs.
class BeatThread {
 public:
  BeatThread(ControlLink& link, const base::Clock& clock, std::function<bool()> healthy,
             std::chrono::milliseconds interval = kBeatInterval);
  ~BeatThread();
  BeatThread(const BeatThread&) = delete;
  BeatThread& operator=(const BeatThread&) = delete;

 private:
  void Run();

  ControlLink& link_;
  const base::Clock& clock_;
  const std::function<bool()> healthy_;
  const std::chrono::milliseconds interval_;
  base::StopSignal stop_;
  std::jthread thread_;
};

}  // namespace exeat::guardian
