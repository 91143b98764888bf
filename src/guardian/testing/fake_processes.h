// A world in which the supervisor's actions come true at once, without a process.
#pragma once

#include <signal.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/testing/fake_clock.h"
#include "guardian/supervisor.h"

namespace exeat::guardian {

class FakeProcesses {
 public:
  explicit FakeProcesses(const SupervisorOptions& options = {}) : supervisor_(options) {}

  // Handles the event, and what follows from its actions.
  void Happen(const Event& event) {
    for (const Action& action : supervisor_.Handle(event, clock_.BootNow())) {
      seen_.push_back(action);
      std::visit([this](const auto& one) { Do(one); }, action);
    }
    while (!follow_ups_.empty()) {
      const Event next = follow_ups_.front();
      follow_ups_.erase(follow_ups_.begin());
      Happen(next);
    }
  }
  void Message(const ToGuardian& message) { Happen(Event(message)); }
  void BeatNow() { Message(Beat{clock_.BootNow().count()}); }

  // Lets `time` pass in ticks; control beats every 200 ms of it when `beating`.
  void Pass(std::chrono::milliseconds time, bool beating) {
    for (std::chrono::milliseconds gone{0}; gone < time; gone += kTickInterval) {
      clock_.Advance(kTickInterval);
      if (beating && control_alive_ && ++ticks_ % 2 == 0) BeatNow();
      Happen(TimerTicked{});
    }
  }
  void EndControl(int wait_status) {
    control_alive_ = false;
    Happen(ControlEnded{wait_status});
  }
  void EndEnvoy(int wait_status) {
    envoys_ = 0;
    Happen(EnvoyEnded{wait_status});
  }

  // How many actions of type T were seen since the last Forget().
  template <class T>
  int Count() const {
    int count = 0;
    for (const Action& action : seen_) count += std::holds_alternative<T>(action) ? 1 : 0;
    return count;
  }
  template <class T>
  int CountSent() const {
    int count = 0;
    for (const Action& action : seen_) {
      const auto* sent = std::get_if<SendToControl>(&action);
      count += sent != nullptr && std::holds_alternative<T>(sent->message) ? 1 : 0;
    }
    return count;
  }
  bool EnvoySignalled(int signal) const {
    for (const Action& action : seen_) {
      const auto* sent = std::get_if<SignalEnvoy>(&action);
      if (sent != nullptr && sent->signal == signal) return true;
    }
    return false;
  }
  bool ControlSignalled(int signal) const {
    for (const Action& action : seen_) {
      const auto* sent = std::get_if<SignalControl>(&action);
      if (sent != nullptr && sent->signal == signal) return true;
    }
    return false;
  }
  void Forget() { seen_.clear(); }

  base::FakeClock& clock() { return clock_; }
  const std::vector<Action>& seen() const { return seen_; }
  int controls() const { return control_alive_ ? 1 : 0; }
  int envoys() const { return envoys_; }
  int most_envoys() const { return most_envoys_; }
  // An Envoy lives without the very control that it was spawned for.
  bool envoy_outlives_control() const {
    return envoys_ > 0 && (!control_alive_ || envoys_control_ != controls_spawned_);
  }
  bool exited() const { return exited_; }
  int exit_code() const { return exit_code_; }

  bool envoy_can_start = true;
  bool control_can_start = true;
  bool dies_of_sigterm = true;  // both children
  bool dies_at_all = true;      // false: even SIGKILL leaves the body lying for now

 private:
  void Do(const SpawnControl&) {
    if (control_can_start) {
      ++controls_spawned_;
      control_alive_ = true;
    } else {
      follow_ups_.emplace_back(ControlNotSpawned{"no memory"});
    }
  }
  void Do(const SignalControl& action) {
    if (!control_alive_ || !Deadly(action.signal)) return;
    control_alive_ = false;
    follow_ups_.emplace_back(ControlEnded{action.signal});
  }
  void Do(const SpawnEnvoy&) {
    if (!envoy_can_start) {
      follow_ups_.emplace_back(EnvoyNotSpawned{"no such file"});
      return;
    }
    ++envoys_;
    envoys_control_ = controls_spawned_;
    most_envoys_ = std::max(most_envoys_, envoys_);
    follow_ups_.emplace_back(EnvoySpawned{++last_pid_, "a fake", "by word", 3});
  }
  void Do(const SignalEnvoy& action) {
    if (envoys_ == 0 || !Deadly(action.signal)) return;
    envoys_ = 0;
    follow_ups_.emplace_back(EnvoyEnded{action.signal});
  }
  void Do(const Exit& action) {
    exited_ = true;
    exit_code_ = action.code;
  }
  template <class T>
  void Do(const T&) {}
  bool Deadly(int signal) const {
    return dies_at_all && (signal == SIGKILL || (signal == SIGTERM && dies_of_sigterm));
  }

  base::FakeClock clock_;
  Supervisor supervisor_;
  std::vector<Action> seen_;
  std::vector<Event> follow_ups_;
  bool control_alive_ = false;
  int envoys_ = 0;
  int most_envoys_ = 0;
  int controls_spawned_ = 0;
  int envoys_control_ = 0;
  pid_t last_pid_ = 100;
  int ticks_ = 0;
  bool exited_ = false;
  int exit_code_ = -1;
};

}  // namespace exeat::guardian
