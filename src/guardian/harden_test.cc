#include "guardian/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace exeat::guardian {
namespace {

TEST(Harden, LeavesNoCoreAndNoOneToReadTheMemory) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (!HardenProcess().ok()) _exit(1);
    rlimit core{1, 1};
    getrlimit(RLIMIT_CORE, &core);
    if (core.rlim_cur != 0 || core.rlim_max != 0) _exit(2);
    _exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace exeat::guardian
