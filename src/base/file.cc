#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "fmt/format.h"

namespace exeat::base {
namespace {

StatusOr<std::string> ReadOpened(int fd, const std::string& path, std::size_t max_bytes) {
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path);
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > max_bytes) {
      return MakeStatus(StatusCode::kFailedPrecondition,
                        fmt::format("{}: larger than {} bytes", path, max_bytes));
    }
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

StatusOr<std::string> Read(const std::string& path, std::size_t max_bytes, bool is_private) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(info.st_mode)) {
    return MakeStatus(StatusCode::kFailedPrecondition, path + ": not a regular file");
  }
  if (is_private && (info.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: mode {:04o} lets others read it; run: chmod 600 {}", path,
                                  info.st_mode & 07777U, path));
  }
  if (is_private && info.st_uid != geteuid() && info.st_uid != 0) {
    return MakeStatus(
        StatusCode::kFailedPrecondition,
        fmt::format("{}: belongs to uid {}, expected {} or root", path, info.st_uid, geteuid()));
  }
  return ReadOpened(fd.get(), path, max_bytes);
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  return Read(path, max_bytes, false);
}

StatusOr<std::string> ReadPrivateFile(const std::string& path, std::size_t max_bytes) {
  return Read(path, max_bytes, true);
}

Status WriteAll(int fd, std::string_view content, std::string_view path) {
  while (!content.empty()) {
    const ssize_t wrote = write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(errno, path);
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return absl::OkStatus();
}

Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
  std::string temporary = path + ".XXXXXX";
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, temporary);
  Status written = WriteAll(fd.get(), content, path);
  if (written.ok() && fchmod(fd.get(), mode) != 0) written = ErrnoStatus(errno, path);
  if (written.ok() && fsync(fd.get()) != 0) written = ErrnoStatus(errno, path);
  if (written.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    written = ErrnoStatus(errno, path);
  }
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  UniqueFd directory(open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || fsync(directory.get()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

Status EnsurePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return ErrnoStatus(errno, path);
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) {
    return MakeStatus(StatusCode::kFailedPrecondition, path + ": not a directory");
  }
  if (info.st_uid != geteuid()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: belongs to uid {}, this is uid {}; run as that user or "
                                  "choose another directory",
                                  path, info.st_uid, geteuid()));
  }
  if ((info.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: mode {:04o} lets others in; run: chmod 700 {}", path,
                                  info.st_mode & 07777U, path));
  }
  return absl::OkStatus();
}

}  // namespace exeat::base
