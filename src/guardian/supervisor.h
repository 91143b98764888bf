// Decides when control and Envoy are started, told something, and killed.
//
// Why here:   pure: events and the time in, actions out. Every rule of the watchdog is a unit test
//             without a process; runner.h does what the actions say.
// Invariants: at most one Envoy and one control. Envoy is killed on the first TimerTicked at which
//             the last beat is as old as the lease; with a tick every kTickInterval that is at most
//             lease + kTickInterval after the beat. Envoy is only ever started while control
//             beats, and never outlives the control that asked for it: the streams it holds are in
//             nobody else's memory. After Exit there are no more actions.
// Units:      CLOCK_BOOTTIME, so a suspended machine wakes to a lease that has run out.
// Fail mode:  anything unexpected kills control, and Envoy with it.
// Threads:    one.
// Source:     docs/adr/0009-three-processes.md
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "guardian/back_off.h"
#include "guardian/link_message.h"

namespace exeat::guardian {

inline constexpr std::chrono::milliseconds kTickInterval{100};

struct SupervisorOptions {
  std::chrono::milliseconds lease{1000};             // age of the last beat that kills Envoy
  std::chrono::milliseconds control_patience{2000};  // age of the last beat that kills control
  std::chrono::milliseconds start_grace{10000};      // from control's start to its first beat
  std::chrono::milliseconds drain_timeout{5000};
  std::chrono::milliseconds stop_timeout{2000};  // from SIGTERM to SIGKILL
  std::chrono::milliseconds kill_timeout{1000};  // from SIGKILL to going on without the body
  std::chrono::milliseconds first_delay{100};
  std::chrono::milliseconds longest_delay{5000};
  std::chrono::milliseconds healthy_after{30000};
};

// Events. A message from control is one too.
struct TimerTicked {};  // also the first event: it starts control
struct ControlNotSpawned {
  std::string message;
};
struct ControlEnded {
  int wait_status = 0;
};
struct LinkBroken {
  std::string message;
};
struct EnvoySpawned {
  pid_t pid = 0;
  std::string confinement;
  std::string cutting;
  std::uint32_t cut_means = 0;
};
struct EnvoyNotSpawned {
  std::string message;
};
struct EnvoyEnded {
  int wait_status = 0;
};
struct CutEnded {
  SocketsCut answer;
};
struct TerminateAsked {};  // SIGTERM or SIGINT
struct ReloadAsked {};     // SIGHUP
using Event =
    std::variant<TimerTicked, ControlNotSpawned, ControlEnded, LinkBroken, EnvoySpawned,
                 EnvoyNotSpawned, EnvoyEnded, CutEnded, TerminateAsked, ReloadAsked, ToGuardian>;

// Actions, to be done in order. SpawnControl is answered by ControlNotSpawned or, later,
// ControlEnded; SpawnEnvoy by EnvoySpawned or EnvoyNotSpawned; CutEnvoySockets, later, by CutEnded.
struct SpawnControl {};
struct SignalControl {
  int signal = 0;
};
struct CloseLink {};  // and drop what was to be cut for this control
struct SpawnEnvoy {
  EnvoyCommand command;
};
struct SignalEnvoy {
  int signal = 0;
};
struct CutEnvoySockets {
  CutSockets request;
};
struct SendToControl {
  ToControl message;
};
struct PrintReady {
  std::string line;  // on standard output
};
struct PrintError {
  std::string message;  // on standard error
};
struct LogLine {
  bool warning = false;
  std::string message;
  std::string detail;
};
struct Exit {
  int code = 0;
};
using Action = std::variant<SpawnControl, SignalControl, CloseLink, SpawnEnvoy, SignalEnvoy,
                            CutEnvoySockets, SendToControl, PrintReady, PrintError, LogLine, Exit>;

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options);

  // What to do about `event` at `now`; kills come before anything that could wait.
  std::vector<Action> Handle(const Event& event, base::BootTime now);

 private:
  enum class Phase { kServing, kDraining, kStopping, kKilling, kOver };
  enum class Control { kAbsent, kStarting, kBeating, kKilled };
  enum class Envoy { kAbsent, kSpawning, kRunning, kTerminated, kKilled };

  void On(const TimerTicked&);
  void On(const ControlNotSpawned& event);
  void On(const ControlEnded& event);
  void On(const LinkBroken& event);
  void On(const EnvoySpawned& event);
  void On(const EnvoyNotSpawned& event);
  void On(const EnvoyEnded& event);
  void On(const CutEnded& event);
  void On(const TerminateAsked&);
  void On(const ReloadAsked&);
  void On(const ToGuardian& message);
  void OnMessage(const Beat& beat);
  void OnMessage(const StartEnvoy& request);
  void OnMessage(const StopEnvoy&);
  void OnMessage(const Ready& ready);
  void OnMessage(const Drained&);
  void OnMessage(const Fatal& fatal);
  void OnMessage(const CutSockets& request);

  // The rules of silence, looked at on each tick only: the runner reads every waiting message
  // before it ticks, so a guardian that woke late does not kill for beats that lie unread.
  void EnforceLease();
  void EnforceControl();
  // What the phase asks for now, looked at after every event.
  void EnforcePhase();
  void ServePhase();
  void StopPhase();

  bool Listening() const { return control_ == Control::kStarting || control_ == Control::kBeating; }
  bool BeatIsFresh() const;
  bool EnvoyIsThere() const { return envoy_ != Envoy::kAbsent; }
  void KillControl(std::string why);
  void KillEnvoy();
  void KillEnvoyWithoutControl();
  void TerminateEnvoy(std::chrono::milliseconds patience);
  void BeginStop();
  void KillAll(int exit_code);
  void ControlGone(std::string why);
  void TellStarted();
  void Send(ToControl message);
  void Log(bool warning, std::string message, std::string detail);

  const SupervisorOptions options_;
  std::vector<Action> actions_;
  base::BootTime now_{0};

  Phase phase_ = Phase::kServing;
  base::BootTime phase_deadline_{0};
  int exit_code_ = 0;
  bool drained_ = false;
  bool ever_ready_ = false;

  Control control_ = Control::kAbsent;
  base::BootTime control_start_at_{0};
  base::BootTime control_spawned_at_{0};
  base::BootTime beating_since_{0};
  base::BootTime last_beat_at_{0};
  bool printed_ready_ = false;  // by this control
  bool control_terminated_ = false;
  BackOff control_back_off_;

  Envoy envoy_ = Envoy::kAbsent;
  bool envoy_asked_ = false;       // by this control
  bool envoy_is_its_own_ = false;  // spawned for this control
  EnvoyCommand wanted_;
  EnvoyCommand running_;  // what the living Envoy was started with
  EnvoySpawned started_;
  base::BootTime envoy_start_at_{0};
  base::BootTime envoy_spawned_at_{0};
  base::BootTime envoy_kill_at_{0};
  base::BootTime envoy_killed_at_{0};
  BackOff envoy_back_off_;
};

// "exit status 3" or "signal 9", for people.
std::string DescribeEnd(int wait_status);

}  // namespace exeat::guardian
