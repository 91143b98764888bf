// Keeps Envoy, which parses what guests write, away from state, keys and secrets.
//
// Why here:   prepared in the guardian, applied in the child between fork and exec, where only
//             async-signal-safe calls are allowed and a message cannot be built.
// How:        as root: a uid of its own, no groups, no capabilities, and Landlock on top where the
//             kernel has it. As anyone else: Landlock. Always no_new_privs. Landlock leaves Envoy
//             its binary, the system's libraries, /proc, /sys and its run directory; it may not
//             signal or trace anything outside (signals: from ABI 6).
// Limits:     Landlock does not stop connect() to a Unix socket by path. As an ordinary user Envoy
//             has this user's uid, so a socket that must be closed to it needs a secret that lies
//             where Envoy cannot read.
// Errors:     kFailedPrecondition neither way is possible here and unconfined was not allowed, or
//             uid 0 was asked for, or a path is relative; kNotFound the binary or the run
//             directory.
// Source:     docs/adr/0009-three-processes.md; landlock(7), prctl(2)
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace exeat::guardian {

// Whose uid Envoy runs as when root starts it and names none: the first of those that systemd hands
// to dynamic users, so never one of the passwd file, and never nobody's, which others share: a
// process of the same uid could read Envoy's memory.
inline constexpr std::uint32_t kEnvoyUid = 61184;

// Where between fork and exec a child gave up; sent over a pipe, so plain values.
enum class ChildStep : std::int32_t {
  kSession,
  kStandardFiles,
  kCloseFiles,
  kCoreLimit,
  kRunDirectory,
  kUid,
  kNoNewPrivileges,
  kCapabilities,
  kLandlock,
  kDeathSignal,
  kExec,
};
struct ChildFailure {
  ChildStep step = ChildStep::kExec;
  std::int32_t error_number = 0;
};
const char* Describe(ChildStep step);

// The Landlock ABI of this kernel, 0 when there is none.
int LandlockAbi();

// True when this process is root and may still change uid and groups.
bool CanChangeUid();

struct ConfinementRequest {
  std::string binary;  // absolute; allowed to be read and executed
  // Absolute; becomes the working directory; read-write. It is entered before the uid changes, so
  // sockets under relative names work even where that uid cannot walk the directories above. Files
  // do not: Envoy looks those up from the root.
  std::string run_directory;
  std::uint32_t uid = kEnvoyUid;
  std::uint32_t gid = kEnvoyUid;
  bool allow_unconfined = false;
};

class Confinement {
 public:
  static base::StatusOr<Confinement> Prepare(const ConfinementRequest& request);

  // In the child. Async-signal-safe; on failure the child must end without exec.
  std::optional<ChildFailure> Apply() const noexcept;

  // "uid 61184, Landlock ABI 7", or "none: ..." when that was allowed.
  const std::string& description() const { return description_; }
  // The binary, opened before the uid changed: it may lie where that uid cannot walk.
  int binary_fd() const { return binary_.get(); }

 private:
  Confinement() = default;

  bool changes_uid_ = false;
  std::uint32_t uid_ = kEnvoyUid;
  std::uint32_t gid_ = kEnvoyUid;
  base::UniqueFd binary_;
  base::UniqueFd run_directory_;
  base::UniqueFd ruleset_;  // not valid: no Landlock
  std::string description_;
};

// Makes (or takes over) the directory that Envoy lives in: mode 0700, owned by `uid` and `gid`
// when this process may give it away, else by itself. kFailedPrecondition for something that is
// not a directory or belongs to a third user; symbolic links are not followed.
base::Status PrepareRunDirectory(const std::string& path, std::uint32_t uid, std::uint32_t gid);

// Closes a socket or file in the run directory to all but Envoy, mode 0600: a socket that root
// bound could not be connected to by another uid. kFailedPrecondition for a symbolic link, which
// Envoy, whose directory it is, could have put there.
base::Status HandToEnvoy(const std::string& path, std::uint32_t uid, std::uint32_t gid);

}  // namespace exeat::guardian
