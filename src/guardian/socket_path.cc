#include "guardian/socket_path.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/fd.h"
#include "base/file.h"
#include "fmt/format.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr int kWholePath = PATH_MAX;

StatusOr<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  if (!real) return ErrnoStatus(errno, path);
  return std::string(real.get());
}

bool RoomForNames(const std::string& directory) {
  return directory.size() + 1 + kMaxSocketNameBytes <= kMaxSocketPathBytes;
}

// FNV-1a: it only has to tell apart the state directories of one user, who owns them all.
std::uint64_t NameHash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

bool IsOwnDirectory(const std::string& path) {
  struct stat info{};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid();
}

std::string ShortBase() {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') return "/tmp";
  const std::string base = runtime;
  // exeat-UID-HASH
  constexpr std::size_t kNameBytes = 6 + 10 + 1 + 16;
  return IsOwnDirectory(base) && RoomForNames(base + "/" + std::string(kNameBytes, 'x')) ? base
                                                                                         : "/tmp";
}

// The target of a symbolic link; empty when `path` is none.
std::string LinkTarget(const std::string& path) {
  std::string target(kWholePath, '\0');
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  target.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return target;
}

// 0 somebody answers; otherwise connect's errno.
int Knock(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return connect(fd.get(), generic, sizeof(address)) == 0 ? 0 : errno;
}

}  // namespace

Status CheckSocketPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return MakeStatus(StatusCode::kInvalidArgument, "a socket's path is empty or holds a NUL");
  }
  if (path.size() <= kMaxSocketPathBytes) return absl::OkStatus();
  return MakeStatus(
      StatusCode::kInvalidArgument,
      fmt::format("{}: {} bytes, and a Unix socket's path has room for {}; choose a shorter one",
                  path, path.size(), kMaxSocketPathBytes));
}

Status RemoveStaleSocket(const std::string& path) {
  RETURN_IF_ERROR(CheckSocketPath(path));
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": in the way of a socket and not one itself; move it away");
  }
  switch (const int answer = Knock(path); answer) {
    case ECONNREFUSED:
      if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
      return absl::OkStatus();
    case ENOENT:
      return absl::OkStatus();
    case 0:
    case EAGAIN:      // its backlog is full, so somebody listens
    case EPROTOTYPE:  // a living socket of another type
      return MakeStatus(StatusCode::kAlreadyExists,
                        path +
                            ": another process answers there; stop it or choose another state "
                            "directory or socket");
    default:
      return ErrnoStatus(answer, path);
  }
}

StatusOr<std::string> ShortSocketDirectory(const std::string& state_directory) {
  ASSIGN_OR_RETURN(const std::string state, RealPath(state_directory));
  const std::string run = state + "/run";
  if (RoomForNames(run)) {
    RETURN_IF_ERROR(base::EnsurePrivateDirectory(run));
    return run;
  }
  std::string directory = LinkTarget(run);
  if (directory.empty()) {
    directory = fmt::format("{}/exeat-{}-{:016x}", ShortBase(), geteuid(), NameHash(state));
  }
  // A link that leads somewhere long was not made here; the check below says so.
  RETURN_IF_ERROR(CheckSocketPath(directory + "/" + std::string(kMaxSocketNameBytes, 'x')));
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    // The runtime directory of a login that has ended: start over in the present one.
    unlink(run.c_str());
    directory = fmt::format("{}/exeat-{}-{:016x}", ShortBase(), geteuid(), NameHash(state));
  }
  RETURN_IF_ERROR(base::EnsurePrivateDirectory(directory));
  if (symlink(directory.c_str(), run.c_str()) != 0 && LinkTarget(run) != directory) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      run + ": in the way of the link to the sockets; remove it");
  }
  return directory;
}

StatusOr<std::string> FindSocketDirectory(const std::string& state_directory) {
  ASSIGN_OR_RETURN(const std::string state, RealPath(state_directory));
  ASSIGN_OR_RETURN(const std::string directory, RealPath(state + "/run"));
  // A link into /tmp may have outlived what it led to.
  struct stat owner{};
  struct stat found{};
  if (stat(state.c_str(), &owner) != 0 || stat(directory.c_str(), &found) != 0) {
    return ErrnoStatus(errno, directory);
  }
  if (!S_ISDIR(found.st_mode) || found.st_uid != owner.st_uid || (found.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: not the private directory of uid {}, who owns {}; do not "
                                  "trust the sockets in it",
                                  directory, owner.st_uid, state));
  }
  return directory;
}

}  // namespace exeat::guardian
