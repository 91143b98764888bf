#include "guardian/supervisor.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "fmt/format.h"

namespace exeat::guardian {
namespace {

int Urgency(const Action& action) {
  if (std::holds_alternative<Exit>(action)) return 2;
  const bool prints = std::holds_alternative<LogLine>(action) ||
                      std::holds_alternative<PrintError>(action) ||
                      std::holds_alternative<PrintReady>(action);
  return prints ? 1 : 0;
}

}  // namespace

Supervisor::Supervisor(const SupervisorOptions& options)
    : options_(options),
      control_back_off_(options.first_delay, options.longest_delay, options.healthy_after),
      envoy_back_off_(options.first_delay, options.longest_delay, options.healthy_after) {}

std::vector<Action> Supervisor::Handle(const Event& event, base::BootTime now) {
  actions_.clear();
  now_ = now;
  if (phase_ == Phase::kOver) return {};
  std::visit([this](const auto& one) { On(one); }, event);
  EnforcePhase();
  // Output can wait on a full pipe; a kill must not wait behind it.
  std::stable_sort(actions_.begin(), actions_.end(), [](const Action& one, const Action& other) {
    return Urgency(one) < Urgency(other);
  });
  return std::move(actions_);
}

// --- events ---

void Supervisor::On(const TimerTicked&) {
  EnforceLease();
  EnforceControl();
}

void Supervisor::On(const ControlNotSpawned& event) {
  if (control_ == Control::kAbsent) return;
  ControlGone("control could not be started: " + event.message);
}

void Supervisor::On(const ControlEnded& event) {
  if (control_ == Control::kAbsent) return;
  if (Listening()) actions_.emplace_back(CloseLink{});
  ControlGone("control ended: " + DescribeEnd(event.wait_status));
}

void Supervisor::ControlGone(std::string why) {
  const bool was_beating = beating_since_ != base::BootTime{0};
  const base::BootTime healthy_for = was_beating ? now_ - beating_since_ : base::BootTime{0};
  const auto wait = control_back_off_.AfterEnd(healthy_for);
  control_ = Control::kAbsent;
  control_start_at_ = now_ + wait;
  beating_since_ = base::BootTime{0};
  printed_ready_ = false;
  // What the next control wants is for it to say.
  envoy_asked_ = false;
  envoy_is_its_own_ = false;
  KillEnvoyWithoutControl();
  if (phase_ == Phase::kServing) {
    Log(true, std::move(why),
        fmt::format("restart in {} ms",
                    std::chrono::duration_cast<std::chrono::milliseconds>(wait).count()));
  }
}

void Supervisor::On(const LinkBroken& event) {
  if (!Listening()) return;
  if (control_terminated_) return;  // it was asked to end, and closing its link is part of that
  KillControl("link to control broken: " + event.message);
}

void Supervisor::On(const EnvoySpawned& event) {
  if (envoy_ != Envoy::kSpawning) return;
  envoy_ = Envoy::kRunning;
  started_ = event;
  envoy_spawned_at_ = now_;
  if (phase_ == Phase::kKilling || !Listening()) {
    KillEnvoy();
  } else if (phase_ != Phase::kServing || !envoy_asked_ || running_ != wanted_) {
    TerminateEnvoy(options_.stop_timeout);
  } else {
    TellStarted();
  }
}

void Supervisor::On(const EnvoyNotSpawned& event) {
  if (envoy_ != Envoy::kSpawning) return;
  envoy_ = Envoy::kAbsent;
  envoy_start_at_ = now_ + envoy_back_off_.AfterEnd(base::BootTime{0});
  Send(EnvoyFailed{event.message});
  // Until the first Ready it is for control to say so, as the reason why it could not start.
  if (ever_ready_) Log(true, "Envoy could not be started", event.message);
}

void Supervisor::On(const EnvoyEnded& event) {
  if (!EnvoyIsThere()) return;
  const bool by_itself = envoy_ == Envoy::kRunning;
  envoy_ = Envoy::kAbsent;
  envoy_start_at_ = now_;
  if (by_itself) envoy_start_at_ += envoy_back_off_.AfterEnd(now_ - envoy_spawned_at_);
  if (envoy_is_its_own_) Send(EnvoyExited{event.wait_status});
  if (by_itself) Log(true, "Envoy ended", DescribeEnd(event.wait_status));
}

void Supervisor::On(const CutEnded& event) { Send(event.answer); }

void Supervisor::On(const TerminateAsked&) {
  switch (phase_) {
    case Phase::kServing:
      phase_ = Phase::kDraining;
      phase_deadline_ = now_ + options_.drain_timeout;
      drained_ = false;
      if (control_ == Control::kBeating) Send(Drain{});
      break;
    case Phase::kDraining:
    case Phase::kStopping:
      KillAll(0);
      break;
    case Phase::kKilling:
    case Phase::kOver:
      break;
  }
}

void Supervisor::On(const ReloadAsked&) {
  if (phase_ != Phase::kServing) return;
  if (Listening()) {
    Send(Reload{});
  } else {
    Log(true, "reload dropped", "control is not running; it reads the policy when it starts");
  }
}

void Supervisor::On(const ToGuardian& message) {
  if (!Listening()) return;
  std::visit([this](const auto& one) { OnMessage(one); }, message);
}

void Supervisor::OnMessage(const Beat& beat) {
  // A beat counts from when it was sent: one that lay in the socket while guardian or machine
  // stood still says nothing about now.
  last_beat_at_ = std::max(last_beat_at_, std::min(now_, base::BootTime(beat.sent_at_ns)));
  if (control_ == Control::kStarting) {
    control_ = Control::kBeating;
    beating_since_ = now_;
  }
}

void Supervisor::OnMessage(const StartEnvoy& request) {
  if (phase_ != Phase::kServing) return;
  envoy_asked_ = true;
  if (request.command != wanted_) {
    envoy_back_off_.Reset();
    envoy_start_at_ = now_;
    wanted_ = request.command;
  }
  if (envoy_ != Envoy::kRunning) return;
  if (running_ == wanted_) {
    TellStarted();
  } else {
    TerminateEnvoy(options_.stop_timeout);
  }
}

void Supervisor::OnMessage(const StopEnvoy&) {
  envoy_asked_ = false;
  if (envoy_ == Envoy::kRunning) TerminateEnvoy(options_.stop_timeout);
}

void Supervisor::OnMessage(const Ready& ready) {
  if (phase_ != Phase::kServing || printed_ready_) return;
  printed_ready_ = true;
  ever_ready_ = true;
  actions_.emplace_back(PrintReady{ready.line});
}

void Supervisor::OnMessage(const Drained&) {
  if (phase_ == Phase::kDraining) drained_ = true;
}

void Supervisor::OnMessage(const Fatal& fatal) {
  if (phase_ == Phase::kServing && !ever_ready_) {
    actions_.emplace_back(PrintError{fatal.message});
    // A refusal never looks like success, whatever number came with it.
    const bool plausible = fatal.exit_code > 0 && fatal.exit_code < 256;
    KillAll(plausible ? fatal.exit_code : 1);
  } else {
    KillControl("control gave up: " + fatal.message);
  }
}

void Supervisor::OnMessage(const CutSockets& request) {
  if (EnvoyIsThere()) {
    actions_.emplace_back(CutEnvoySockets{request});
    return;
  }
  SocketsCut answer;
  answer.batch = request.batch;
  for (const base::SocketId& id : request.sockets) answer.closed.push_back(id.cookie);
  Send(std::move(answer));
}

// --- rules of time ---

bool Supervisor::BeatIsFresh() const {
  return control_ == Control::kBeating && now_ - last_beat_at_ < options_.lease;
}

void Supervisor::EnforceLease() {
  const bool alive = envoy_ == Envoy::kRunning || envoy_ == Envoy::kTerminated;
  if (!alive || now_ - last_beat_at_ < options_.lease) return;
  KillEnvoy();
  Log(true, "Envoy killed", "no beat from control within the lease");
}

void Supervisor::EnforceControl() {
  if (control_ == Control::kStarting && !control_terminated_ &&
      now_ - control_spawned_at_ >= options_.start_grace) {
    KillControl("control killed: no first beat");
  }
  if (control_ == Control::kBeating && !control_terminated_ &&
      now_ - last_beat_at_ >= options_.control_patience) {
    KillControl("control killed: it stopped beating");
  }
  if (envoy_ == Envoy::kTerminated && now_ >= envoy_kill_at_) KillEnvoy();
}

void Supervisor::EnforcePhase() {
  if (phase_ == Phase::kServing) ServePhase();
  if (phase_ == Phase::kDraining) {
    const bool someone_drains = control_ == Control::kBeating && EnvoyIsThere();
    if (drained_ || !someone_drains || now_ >= phase_deadline_) BeginStop();
  }
  if (phase_ == Phase::kStopping) StopPhase();
  if (phase_ == Phase::kKilling) {
    const bool all_gone = !EnvoyIsThere() && control_ == Control::kAbsent;
    if (!all_gone && now_ < phase_deadline_) return;
    phase_ = Phase::kOver;
    actions_.emplace_back(Exit{exit_code_});
  }
}

void Supervisor::ServePhase() {
  // A new control finds its ports free, unless the old Envoy's body will not go.
  const bool room = !EnvoyIsThere() || now_ >= envoy_killed_at_ + options_.kill_timeout;
  if (control_ == Control::kAbsent && room && now_ >= control_start_at_) {
    control_ = Control::kStarting;
    control_spawned_at_ = now_;
    actions_.emplace_back(SpawnControl{});
  }
  if (envoy_ == Envoy::kAbsent && envoy_asked_ && BeatIsFresh() && now_ >= envoy_start_at_) {
    envoy_ = Envoy::kSpawning;
    envoy_is_its_own_ = true;
    running_ = wanted_;
    actions_.emplace_back(SpawnEnvoy{running_});
  }
}

void Supervisor::StopPhase() {
  if (now_ >= phase_deadline_) {
    KillAll(0);
    return;
  }
  // Envoy first: control takes its last access logs before it ends.
  if (EnvoyIsThere()) return;
  if (control_ == Control::kAbsent) {
    KillAll(0);
  } else if (Listening() && !control_terminated_) {
    control_terminated_ = true;
    actions_.emplace_back(SignalControl{SIGTERM});
  }
}

// --- steps ---

void Supervisor::BeginStop() {
  phase_ = Phase::kStopping;
  phase_deadline_ = now_ + options_.stop_timeout;
  // Half, so that control still gets its own time to end after an Envoy that would not.
  if (envoy_ == Envoy::kRunning) TerminateEnvoy(options_.stop_timeout / 2);
}

void Supervisor::KillAll(int exit_code) {
  phase_ = Phase::kKilling;
  phase_deadline_ = now_ + options_.kill_timeout;
  exit_code_ = exit_code;
  KillEnvoyWithoutControl();
  if (Listening()) KillControl("");
}

void Supervisor::KillControl(std::string why) {
  control_ = Control::kKilled;
  KillEnvoyWithoutControl();
  actions_.emplace_back(SignalControl{SIGKILL});
  actions_.emplace_back(CloseLink{});
  if (!why.empty()) Log(true, std::move(why), "");
}

void Supervisor::KillEnvoy() {
  envoy_ = Envoy::kKilled;
  envoy_killed_at_ = now_;
  actions_.emplace_back(SignalEnvoy{SIGKILL});
}

// At once: no control that comes knows the streams that it holds, so none could cut them.
void Supervisor::KillEnvoyWithoutControl() {
  if (envoy_ == Envoy::kRunning || envoy_ == Envoy::kTerminated) KillEnvoy();
}

void Supervisor::TerminateEnvoy(std::chrono::milliseconds patience) {
  envoy_ = Envoy::kTerminated;
  envoy_kill_at_ = now_ + patience;
  actions_.emplace_back(SignalEnvoy{SIGTERM});
}

void Supervisor::TellStarted() {
  Send(EnvoyStarted{started_.pid, started_.confinement, started_.cutting, started_.cut_means});
}

void Supervisor::Send(ToControl message) {
  if (Listening()) actions_.emplace_back(SendToControl{std::move(message)});
}

void Supervisor::Log(bool warning, std::string message, std::string detail) {
  actions_.emplace_back(LogLine{warning, std::move(message), std::move(detail)});
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) return fmt::format("signal {}", WTERMSIG(wait_status));
  return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

}  // namespace exeat::guardian
