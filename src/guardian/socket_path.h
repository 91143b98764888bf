// Where Unix sockets live: short enough for the kernel, and never over a living one.
//
// Why here:   `exeat up` binds these sockets and every other command looks for them, by one rule.
// Errors:     kInvalidArgument a path too long; kFailedPrecondition something in the way that is
//             not ours to remove, kAlreadyExists somebody answers there; each names the path and
//             what to do.
// Threads:    safe concurrently; two processes that prepare one path race, and a lock on the state
//             directory is the caller's.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace exeat::guardian {

// sun_path holds 108 bytes with its closing NUL.
inline constexpr std::size_t kMaxSocketPathBytes = 107;
// What a name below the socket directory may take, a folder of its own included.
inline constexpr std::size_t kMaxSocketNameBytes = 32;

base::Status CheckSocketPath(const std::string& path);

// Makes room for bind(): removes a socket at which nobody answers, and accepts an absent path.
base::Status RemoveStaleSocket(const std::string& path);

// The directory for the sockets of this state directory, which must exist, made if need be, 0700
// and this user's. It is STATE/run; where that is too long for a socket's path, STATE/run is a
// symbolic link to a directory under $XDG_RUNTIME_DIR or /tmp named by the state's real path, so
// another process finds it whatever its own environment says.
base::StatusOr<std::string> ShortSocketDirectory(const std::string& state_directory);

// The same directory for a process that only looks: nothing is made. kNotFound when no edge was
// ever started on this state.
base::StatusOr<std::string> FindSocketDirectory(const std::string& state_directory);

}  // namespace exeat::guardian
