// A child's open descriptors, seen from its parent.
//
// Why here:   the parent cuts what the child serves, and sees by its descriptors what it let go of.
// Privilege:  that of ptrace's attach: the same user and a dumpable child without more
//             capabilities, or CAP_SYS_PTRACE; a container's seccomp filter may refuse all the
//             same.
// Errors:     kNotFound no such descriptor; kPermissionDenied; kUnavailable anything else.
// Threads:    const methods are safe concurrently.
// Source:     pidfd_getfd(2)
#pragma once

#include <sys/types.h>

#include "base/fd.h"
#include "base/status.h"

namespace exeat::guardian {

class DescriptorTable {
 public:
  // Call it before the child is reaped: then it means this child for good, whoever gets its pid.
  static base::StatusOr<DescriptorTable> Open(pid_t child);

  // A duplicate of the child's descriptor, close-on-exec.
  base::StatusOr<base::UniqueFd> Duplicate(int number) const;
  // Above every descriptor that is open now.
  base::StatusOr<int> Size() const;
  // All threads have ended, so everything is closed.
  bool Ended() const;
  // False while it ends: then no descriptor is found although some thread may still use one. Goes
  // by standard input, which the guardian's children have and keep.
  bool IsWhole() const { return Duplicate(0).ok(); }

 private:
  DescriptorTable(base::UniqueFd child, base::UniqueFd proc)
      : child_(std::move(child)), proc_(std::move(proc)) {}

  base::UniqueFd child_;
  base::UniqueFd proc_;  // /proc/PID
};

}  // namespace exeat::guardian
