// A LogFile over a real one that fails when told to.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "audit/log_file.h"
#include "base/mutex.h"

namespace exeat::audit {

struct Faults {
  base::Status write;                    // of every Write
  std::optional<std::size_t> take_only;  // bytes that a Write takes, failing or not
  base::Status truncate;                 // of every Truncate
  base::Status sync;                     // of every Sync
};

// What the disk does from now on. Outlives the logs on it; safe concurrently.
class FaultyDisk {
 public:
  void Set(Faults faults) {
    base::MutexLock lock(mutex_);
    faults_ = std::move(faults);
  }
  Faults Get() const {
    base::MutexLock lock(mutex_);
    return faults_;
  }
  void CountSync() {
    base::MutexLock lock(mutex_);
    ++syncs_;
  }
  int syncs() const {
    base::MutexLock lock(mutex_);
    return syncs_;
  }
  // Opens a log's file on this disk.
  LogFileOpener Opener();

 private:
  mutable base::Mutex mutex_;
  Faults faults_ GUARDED_BY(mutex_);
  int syncs_ GUARDED_BY(mutex_) = 0;
};

class FaultyFile final : public LogFile {
 public:
  FaultyFile(std::unique_ptr<LogFile> file, FaultyDisk& disk)
      : file_(std::move(file)), disk_(disk) {}

  base::StatusOr<std::uint64_t> Size() override { return file_->Size(); }
  base::Status CheckPlace() override { return file_->CheckPlace(); }
  base::StatusOr<std::string> Read(std::uint64_t offset, std::size_t size) override {
    return file_->Read(offset, size);
  }
  base::StatusOr<std::size_t> Write(std::string_view bytes) override {
    const Faults faults = disk_.Get();
    if (faults.take_only) bytes = bytes.substr(0, std::min(*faults.take_only, bytes.size()));
    if (faults.write.ok()) return file_->Write(bytes);
    // A disk that fails may have taken a part all the same.
    if (faults.take_only) file_->Write(bytes).IgnoreError();
    return faults.write;
  }
  base::Status Truncate(std::uint64_t size) override {
    RETURN_IF_ERROR(disk_.Get().truncate);
    return file_->Truncate(size);
  }
  base::Status Sync() override {
    disk_.CountSync();
    RETURN_IF_ERROR(disk_.Get().sync);
    return file_->Sync();
  }

 private:
  std::unique_ptr<LogFile> file_;
  FaultyDisk& disk_;
};

inline LogFileOpener FaultyDisk::Opener() {
  return [this](const std::string& path) -> base::StatusOr<std::unique_ptr<LogFile>> {
    ASSIGN_OR_RETURN(auto file, OpenLogFile(path));
    return std::unique_ptr<LogFile>(std::make_unique<FaultyFile>(std::move(file), *this));
  };
}

}  // namespace exeat::audit
