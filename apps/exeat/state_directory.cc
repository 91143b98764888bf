#include "state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"
#include "fmt/format.h"
#include "guardian/socket_path.h"

namespace exeat {
namespace {

constexpr char kStateVersion[] = "1\n";

base::Status Refuse(const std::string& message) {
  return base::MakeStatus(base::StatusCode::kFailedPrecondition, message);
}

base::Status CheckVersion(const std::string& path) {
  const std::string file = path + "/version";
  const auto found = base::ReadFile(file, 64);
  if (found.ok()) {
    if (*found == kStateVersion) return absl::OkStatus();
    return Refuse(
        fmt::format("{}: written by another version of exeat (format {:.16}, this one is "
                    "{}); use that version or another state directory",
                    path, *found, kStateVersion));
  }
  if (found.status().code() != base::StatusCode::kNotFound) return found.status();
  return base::WriteFileAtomically(file, kStateVersion, 0600);
}

base::StatusOr<base::UniqueFd> TakeLock(const std::string& path) {
  const std::string file = path + "/lock";
  base::UniqueFd lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return base::ErrnoStatus(errno, file);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Refuse(path +
                  ": another edge runs on this state directory; stop it first, or give this "
                  "one its own with --state");
  }
  return lock;
}

}  // namespace

base::StatusOr<StateDirectory> OpenStateDirectory(const std::string& path) {
  StateDirectory state;
  RETURN_IF_ERROR(base::Annotate(base::EnsurePrivateDirectory(path), "state directory"));
  RETURN_IF_ERROR(CheckVersion(path));
  ASSIGN_OR_RETURN(state.lock, TakeLock(path));
  state.path = path;
  ASSIGN_OR_RETURN(state.run, guardian::ShortSocketDirectory(path));
  RETURN_IF_ERROR(base::EnsurePrivateDirectory(state.run));
  state.envoy_run = state.run + "/envoy";
  RETURN_IF_ERROR(guardian::CheckSocketPath(state.OperatorSocket()));
  RETURN_IF_ERROR(guardian::CheckSocketPath(state.ControlSocket()));
  return state;
}

}  // namespace exeat
