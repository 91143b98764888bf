#include "audit/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"
#include "fmt/format.h"

namespace exeat::audit {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

class PosixLogFile final : public LogFile {
 public:
  PosixLogFile(base::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  StatusOr<std::uint64_t> Size() override {
    struct stat info{};
    if (fstat(fd_.get(), &info) != 0) return ErrnoStatus(errno, path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Status CheckPlace() override {
    struct stat open{};
    struct stat placed{};
    if (fstat(fd_.get(), &open) != 0) return ErrnoStatus(errno, path_);
    const bool found = lstat(path_.c_str(), &placed) == 0;
    if (!found && errno != ENOENT && errno != ENOTDIR) return ErrnoStatus(errno, path_);
    if (found && placed.st_dev == open.st_dev && placed.st_ino == open.st_ino) {
      return absl::OkStatus();
    }
    return MakeStatus(StatusCode::kDataLoss, fmt::format("{} was {} while it was written", path_,
                                                         found ? "replaced" : "removed"));
  }

  StatusOr<std::string> Read(std::uint64_t offset, std::size_t size) override {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got =
          pread(fd_.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, path_);
      if (got == 0) return MakeStatus(StatusCode::kUnavailable, path_ + ": shorter than it was");
      done += static_cast<std::size_t>(got);
    }
    return bytes;
  }

  StatusOr<std::size_t> Write(std::string_view bytes) override {
    while (true) {
      const ssize_t wrote = write(fd_.get(), bytes.data(), bytes.size());
      if (wrote >= 0) return static_cast<std::size_t>(wrote);
      if (errno != EINTR) return ErrnoStatus(errno, path_);
    }
  }

  Status Truncate(std::uint64_t size) override {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, path_);
  }

  Status Sync() override {
    if (fdatasync(fd_.get()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, path_);
  }

 private:
  base::UniqueFd fd_;
  std::string path_;
};

}  // namespace

StatusOr<std::unique_ptr<LogFile>> OpenLogFile(const std::string& path) {
  base::UniqueFd fd(
      open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": not a regular file of this user; move it away");
  }
  if ((info.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: mode {:04o} lets others in; run: chmod 600 {}", path,
                                  info.st_mode & 07777U, path));
  }
  return std::unique_ptr<LogFile>(std::make_unique<PosixLogFile>(std::move(fd), path));
}

std::string LogPath(const std::string& directory) { return directory + "/audit.jsonl"; }
std::string LockPath(const std::string& directory) { return directory + "/audit.lock"; }
std::string TornPath(const std::string& directory, std::uint64_t seq) {
  return fmt::format("{}/torn-{}", directory, seq);
}

}  // namespace exeat::audit
