#include "guardian/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

namespace exeat::guardian {

base::Status HardenProcess() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return base::ErrnoStatus(errno, "no core files");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return base::ErrnoStatus(errno, "undumpable");
  return absl::OkStatus();
}

}  // namespace exeat::guardian
