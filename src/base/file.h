// Whole files, read and replaced without a moment in which half of one can be seen.
//
// Errors:   kNotFound no such file; kPermissionDenied; kFailedPrecondition a file that is not what
//           was asked for (too large, not regular, open to others); kResourceExhausted disk full;
//           kUnavailable anything else of the system's. Each names the path.
// Threads:  safe concurrently on different paths.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace exeat::base {

inline constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

// The whole of a regular file of at most `max_bytes`.
StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes = kMaxFileBytes);

// As ReadFile, and refuses a file that group or others may read or write, or that belongs to
// neither this user nor root: for keys and credentials.
StatusOr<std::string> ReadPrivateFile(const std::string& path,
                                      std::size_t max_bytes = kMaxFileBytes);

// Replaces `path` by rename after an fsync of file and directory; after an error the old content
// stands. New files have `mode` whatever the umask.
Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode);

// Writes all of `content`, going on after short writes and EINTR. After an error part of it may
// have been written.
Status WriteAll(int fd, std::string_view content, std::string_view path);

// Makes the directory with mode 0700, or accepts one that exists, belongs to this user and is
// closed to others; otherwise kFailedPrecondition says whose it is and what to do.
Status EnsurePrivateDirectory(const std::string& path);

}  // namespace exeat::base
