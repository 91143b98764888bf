// The file under the log, as a seam where tests make a disk fail.
//
// Errors:   kResourceExhausted disk full; kUnavailable anything else of the system's;
//           kFailedPrecondition a file that is open to others or is not a file; kDataLoss another
//           file, or none, stands at its path.
// Threads:  Sync is safe beside the others; the others take turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "base/status.h"

namespace exeat::audit {

class LogFile {
 public:
  virtual ~LogFile() = default;
  virtual base::StatusOr<std::uint64_t> Size() = 0;
  // Ok while this very file stands at its path.
  virtual base::Status CheckPlace() = 0;
  // The `size` bytes from `offset`.
  virtual base::StatusOr<std::string> Read(std::uint64_t offset, std::size_t size) = 0;
  // One write at the end: how many bytes it took, which may be fewer.
  virtual base::StatusOr<std::size_t> Write(std::string_view bytes) = 0;
  virtual base::Status Truncate(std::uint64_t size) = 0;
  // Returns once the content is on the disk.
  virtual base::Status Sync() = 0;
};

// Opens or makes `path` with mode 0600.
base::StatusOr<std::unique_ptr<LogFile>> OpenLogFile(const std::string& path);

using LogFileOpener =
    std::function<base::StatusOr<std::unique_ptr<LogFile>>(const std::string& path)>;

// Log::Open over a file of the caller's.
base::StatusOr<std::unique_ptr<Log>> OpenLogWith(const LogFileOpener& opener,
                                                 const std::string& directory,
                                                 const std::string& deployment,
                                                 const base::Clock& clock);

// Names in a log's directory.
std::string LogPath(const std::string& directory);
std::string LockPath(const std::string& directory);
std::string TornPath(const std::string& directory, std::uint64_t seq);

}  // namespace exeat::audit
