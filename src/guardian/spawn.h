// Starts a child that ends with the guardian and inherits nothing by accident.
//
// Why here:   fork and exec in one place, since only async-signal-safe calls may stand between.
// Child:      a session of its own (a terminal's Ctrl-C reaches the guardian alone), standard input
//             /dev/null, standard output and error both the guardian's standard error, no other
//             descriptor but `inherited_fd`, default signals, no core files, no_new_privs, SIGKILL
//             when the guardian's thread ends.
// Errors:     kUnavailable naming the step that failed, kDeadlineExceeded when the child did not
//             reach exec in time; no child is left behind.
// Threads:    the calling one must live as long as the children should. Others may run: between
//             fork and exec nothing is called that could wait for what one of them held.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"
#include "guardian/confine.h"

namespace exeat::guardian {

struct ChildPlan {
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  int inherited_fd = -1;                     // kept open under the same number
  const Confinement* confinement = nullptr;  // null: none, for control
};

// Returns when the child has reached exec, at the latest after `patience`.
base::StatusOr<pid_t> Spawn(const ChildPlan& plan, std::chrono::milliseconds patience);

}  // namespace exeat::guardian
