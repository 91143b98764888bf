// A LogFile over a real one that fails when told to.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "audit/log_file.h"
#include "base/mutex.h"

namespace exeat::audit {

// What the disk does. Shared with the test, which outlives the log.
struct Faults {
  base::Mutex mutex;
  base::Status write GUARDED_BY(mutex);                    // every Write
  std::optional<std::size_t> take_only GUARDED_BY(mutex);  // bytes that a Write takes
  base::Status truncate GUARDED_BY(mutex);                 // every Truncate
  base::Status sync GUARDED_BY(mutex);                     // every Sync
  int syncs GUARDED_BY(mutex) = 0;
};

class FaultyFile final : public LogFile {
 public:
  FaultyFile(std::unique_ptr<LogFile> file, Faults& faults)
      : file_(std::move(file)), faults_(faults) {}

  static LogFileOpener Opener(Faults& faults) {
    return [&faults](const std::string& path) -> base::StatusOr<std::unique_ptr<LogFile>> {
      ASSIGN_OR_RETURN(auto file, OpenLogFile(path));
      return std::unique_ptr<LogFile>(std::make_unique<FaultyFile>(std::move(file), faults));
    };
  }

  base::StatusOr<std::uint64_t> Size() override { return file_->Size(); }
  base::StatusOr<std::string> Read(std::uint64_t offset, std::size_t size) override {
    return file_->Read(offset, size);
  }
  base::StatusOr<std::size_t> Write(std::string_view bytes) override {
    base::MutexLock lock(faults_.mutex);
    // A disk that fails may have taken a part all the same.
    if (faults_.take_only) bytes = bytes.substr(0, std::min(*faults_.take_only, bytes.size()));
    if (faults_.write.ok()) return file_->Write(bytes);
    if (faults_.take_only) file_->Write(bytes).IgnoreError();
    return faults_.write;
  }
  base::Status Truncate(std::uint64_t size) override {
    base::MutexLock lock(faults_.mutex);
    RETURN_IF_ERROR(faults_.truncate);
    return file_->Truncate(size);
  }
  base::Status Sync() override {
    base::MutexLock lock(faults_.mutex);
    ++faults_.syncs;
    RETURN_IF_ERROR(faults_.sync);
    return file_->Sync();
  }

 private:
  std::unique_ptr<LogFile> file_;
  Faults& faults_;
};

}  // namespace exeat::audit
