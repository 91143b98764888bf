// The three Landlock calls, and the rights of each ABI up to 7.
//
// Why here:   Debian 12's header stops at ABI 2 and its libc has no wrappers.
// Errors:     kUnavailable with errno's text.
// Source:     landlock(7); Documentation/userspace-api/landlock.rst of the kernel
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace exeat::guardian {

enum class LandlockAccess {
  kExecute,    // read and execute
  kRead,       // read
  kDevice,     // read and write a file that is there
  kReadWrite,  // everything but execute and device nodes
};

struct LandlockRule {
  std::string path;
  LandlockAccess access = LandlockAccess::kRead;
  bool required = false;  // a path that is not there is an error; otherwise it is left out
};

int LandlockAbiVersion();

// A ruleset that denies every file access its ABI knows except what `rules` open, and from ABI 6
// on signals and abstract sockets that leave the sandbox.
base::StatusOr<base::UniqueFd> MakeLandlockRuleset(int abi, const std::vector<LandlockRule>& rules);

// Restricts the calling thread for good; needs no_new_privs. 0 or an errno; async-signal-safe.
int LandlockRestrictSelf(int ruleset_fd) noexcept;

}  // namespace exeat::guardian
