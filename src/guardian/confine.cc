#include "guardian/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "guardian/landlock.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

// What Envoy opens beside its run directory.
std::vector<LandlockRule> EnvoyRules(const ConfinementRequest& request) {
  std::vector<LandlockRule> rules = {
      {request.binary, LandlockAccess::kExecute, true},
      {request.run_directory, LandlockAccess::kReadWrite, true},
  };
  for (const char* path : {"/lib", "/lib64", "/usr/lib", "/usr/lib64"}) {
    rules.push_back({path, LandlockAccess::kExecute, false});
  }
  for (const char* path : {"/proc", "/sys", "/etc/ld.so.cache", "/etc/localtime",
                           "/usr/share/zoneinfo", "/dev/urandom", "/dev/random"}) {
    rules.push_back({path, LandlockAccess::kRead, false});
  }
  rules.push_back({"/dev/null", LandlockAccess::kDevice, false});
  return rules;
}

bool ClearCapabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const CapabilitySets none{};
  return syscall(SYS_capset, &header, none.data()) == 0;
}

}  // namespace

const char* Describe(ChildStep step) {
  switch (step) {
    case ChildStep::kSession:
      return "a session of its own";
    case ChildStep::kStandardFiles:
      return "standard files";
    case ChildStep::kCloseFiles:
      return "closing descriptors";
    case ChildStep::kCoreLimit:
      return "no core files";
    case ChildStep::kRunDirectory:
      return "entering the run directory";
    case ChildStep::kUid:
      return "changing the uid";
    case ChildStep::kNoNewPrivileges:
      return "no_new_privs";
    case ChildStep::kCapabilities:
      return "dropping capabilities";
    case ChildStep::kLandlock:
      return "Landlock";
    case ChildStep::kDeathSignal:
      return "being bound to the guardian";
    case ChildStep::kExec:
      return "exec";
  }
  return "an unknown step";
}

int LandlockAbi() { return LandlockAbiVersion(); }

bool CanChangeUid() {
  if (geteuid() != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilitySets sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return false;
  const std::uint32_t needed = (1U << CAP_SETUID) | (1U << CAP_SETGID) | (1U << CAP_CHOWN);
  return (sets[0].effective & needed) == needed;
}

StatusOr<Confinement> Confinement::Prepare(const ConfinementRequest& request) {
  Confinement out;
  out.uid_ = request.uid;
  out.gid_ = request.gid;
  out.changes_uid_ = CanChangeUid();
  if (out.changes_uid_ && (request.uid == 0 || request.gid == 0)) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      "Envoy must not run as uid or gid 0: name an unprivileged one");
  }
  if (!request.binary.starts_with('/') || !request.run_directory.starts_with('/')) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      "the paths of Envoy and of its run directory must be absolute");
  }
  out.binary_.Reset(open(request.binary.c_str(), O_RDONLY | O_CLOEXEC));
  if (!out.binary_.valid()) return ErrnoStatus(errno, request.binary);
  out.run_directory_.Reset(open(request.run_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!out.run_directory_.valid()) return ErrnoStatus(errno, request.run_directory);

  const int abi = LandlockAbiVersion();
  if (abi > 0) {
    ASSIGN_OR_RETURN(out.ruleset_, MakeLandlockRuleset(abi, EnvoyRules(request)));
  }
  if (out.changes_uid_) out.description_ = fmt::format("uid {}", request.uid);
  if (abi > 0) {
    out.description_ += fmt::format("{}Landlock ABI {}", out.changes_uid_ ? ", " : "", abi);
  }
  if (out.description_.empty() && !request.allow_unconfined) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      "Envoy cannot be kept from keys and secrets here: this kernel has no "
                      "Landlock and this user may not change uid. Use a kernel from 5.13 on with "
                      "Landlock enabled (lsm=landlock,...), start as root, or allow an unconfined "
                      "Envoy explicitly");
  }
  if (out.description_.empty()) {
    out.description_ = "none: Envoy can read everything that this user can";
  }
  return out;
}

std::optional<ChildFailure> Confinement::Apply() const noexcept {
  const auto failed = [](ChildStep step) { return ChildFailure{step, errno}; };
  // Before the uid changes, which may not be able to walk there.
  if (fchdir(run_directory_.get()) != 0) return failed(ChildStep::kRunDirectory);
  if (changes_uid_) {
    // Raw, as libc's wrappers take locks to tell other threads; this process has none of them.
    if (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, gid_, gid_, gid_) != 0 ||
        syscall(SYS_setresuid, uid_, uid_, uid_) != 0) {
      return failed(ChildStep::kUid);
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed(ChildStep::kNoNewPrivileges);
  if (!ClearCapabilities()) return failed(ChildStep::kCapabilities);
  if (ruleset_.valid()) {
    if (const int error = LandlockRestrictSelf(ruleset_.get()); error != 0) {
      return ChildFailure{ChildStep::kLandlock, error};
    }
  }
  // Found out here and not in Envoy's log.
  if (access(".", R_OK | W_OK | X_OK) != 0) return failed(ChildStep::kRunDirectory);
  return std::nullopt;
}

Status PrepareRunDirectory(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, path);
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": not a directory of its own; move it away");
  }
  struct stat info{};
  if (fstat(directory.get(), &info) != 0) return ErrnoStatus(errno, path);
  const bool gives_away = CanChangeUid();
  if (info.st_uid != geteuid() && !(gives_away && info.st_uid == uid)) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: belongs to uid {}; remove it or choose another state "
                                  "directory",
                                  path, info.st_uid));
  }
  if (fchmod(directory.get(), 0700) != 0) return ErrnoStatus(errno, path);
  if (gives_away && fchown(directory.get(), uid, gid) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

Status HandToEnvoy(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
  // By descriptor, so that what was looked at is what is changed.
  UniqueFd target(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!target.valid()) return ErrnoStatus(errno, path);
  struct stat info{};
  if (fstat(target.get(), &info) != 0) return ErrnoStatus(errno, path);
  if (S_ISLNK(info.st_mode)) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": a symbolic link where Envoy's socket should be; remove it");
  }
  const std::string opened = fmt::format("/proc/self/fd/{}", target.get());
  if (chmod(opened.c_str(), 0600) != 0) return ErrnoStatus(errno, path);
  if (CanChangeUid() && fchownat(target.get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, path);
  }
  return absl::OkStatus();
}

}  // namespace exeat::guardian
