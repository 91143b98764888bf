// `exeat up`: runs the supervisor's actions on real processes.
//
// Why here:   fork, signals and descriptors in one loop of one thread, with every decision left to
//             supervisor.h. Only the cutting of connections has a thread of its own.
// Fail mode:  whatever ends this process ends both children: the kernel kills them.
// Threads:    call on the main thread of a process that has no other; it alone forks. Blocks
//             SIGTERM, SIGINT, SIGHUP, SIGTSTP and SIGCHLD for good: a guardian stopped from the
//             terminal guards nothing. Reaps every child, its caller's too.
// Source:     docs/adr/0009-three-processes.md
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "guardian/confine.h"

namespace exeat::guardian {

struct GuardianOptions {
  // The arguments, argv[0] included, with which this very executable becomes control; the number
  // is that of the descriptor to give to ControlLink::Adopt.
  std::function<std::vector<std::string>(int link_fd)> control_argv;
  std::chrono::milliseconds lease{1000};
  std::chrono::milliseconds drain_timeout{5000};
  // For a StartEnvoy that names none; it has no effect unless this process is root.
  std::uint32_t envoy_uid = kEnvoyUid;
  std::uint32_t envoy_gid = kEnvoyUid;
  bool allow_unconfined = false;
};

// Returns the exit code, after both children have ended: 0 after SIGTERM or SIGINT, the code of
// control's Fatal, 1 when the guardian itself could not be set up (said on standard error). Prints
// control's Ready line on standard output, once for each control, and nothing else there.
int RunGuardian(const GuardianOptions& options);

}  // namespace exeat::guardian
