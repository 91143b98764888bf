// Runs one command to its end, handing on the signals that this process gets.
//
// Errors:   kNotFound no such command; kPermissionDenied it cannot be executed; kUnavailable the
//           system could not start it.
// Threads:  make a SignalGate before any other thread starts, so that none of them takes a signal.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace exeat::cli {

// Holds back the signals that are to be handed on, until it is destroyed.
class SignalGate {
 public:
  SignalGate();
  ~SignalGate();
  SignalGate(const SignalGate&) = delete;
  SignalGate& operator=(const SignalGate&) = delete;

  const sigset_t& held() const { return held_; }
  // The former mask for the child, which takes these signals whatever its parent held back.
  sigset_t ForChild() const;

 private:
  sigset_t held_{};
  sigset_t former_{};
};

// The command's exit status, or 128 + n when signal n ended it. `environment` is NAME=value.
base::StatusOr<int> RunChild(const SignalGate& gate, const std::vector<std::string>& command,
                             const std::vector<std::string>& environment);

}  // namespace exeat::cli
