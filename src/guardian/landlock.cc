#include "guardian/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::Status;
using base::StatusOr;
using base::UniqueFd;

constexpr std::uint64_t kTruncate = 1ULL << 14U;  // ABI 3
constexpr std::uint64_t kIoctlDev = 1ULL << 15U;  // ABI 5
constexpr std::uint64_t kScopeAll = 3;            // abstract sockets and signals, ABI 6

constexpr std::uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t kRead = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kReadWrite =
    kRead | kWriteFile | kTruncate | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO;
constexpr std::uint64_t kOnFiles =
    kReadFile | kWriteFile | kTruncate | LANDLOCK_ACCESS_FS_EXECUTE | kIoctlDev;

// The attribute as of ABI 6; older kernels take its beginning.
struct RulesetAttribute {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

std::size_t AttributeSize(int abi) {
  if (abi >= 6) return 3 * sizeof(std::uint64_t);
  return (abi >= 4 ? 2 : 1) * sizeof(std::uint64_t);
}

std::uint64_t RightsOf(int abi) {
  std::uint64_t rights = (1ULL << 13U) - 1;
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

std::uint64_t Mask(LandlockAccess access) {
  switch (access) {
    case LandlockAccess::kExecute:
      return kRead | LANDLOCK_ACCESS_FS_EXECUTE;
    case LandlockAccess::kRead:
      return kRead;
    case LandlockAccess::kDevice:
      return kReadFile | kWriteFile;
    case LandlockAccess::kReadWrite:
      return kReadWrite;
  }
  return 0;
}

Status AddRule(int ruleset, std::uint64_t rights, const LandlockRule& rule) {
  UniqueFd target(open(rule.path.c_str(), O_PATH | O_CLOEXEC));
  if (!target.valid()) {
    return rule.required ? ErrnoStatus(errno, rule.path) : absl::OkStatus();
  }
  struct stat info{};
  if (fstat(target.get(), &info) != 0) return ErrnoStatus(errno, rule.path);
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = Mask(rule.access) & rights;
  if (!S_ISDIR(info.st_mode)) beneath.allowed_access &= kOnFiles;
  beneath.parent_fd = target.get();
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) {
    return ErrnoStatus(errno, "Landlock rule for " + rule.path);
  }
  return absl::OkStatus();
}

}  // namespace

int LandlockAbiVersion() {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return static_cast<int>(std::max(abi, 0L));
}

StatusOr<UniqueFd> MakeLandlockRuleset(int abi, const std::vector<LandlockRule>& rules) {
  RulesetAttribute attribute;
  attribute.handled_access_fs = RightsOf(abi);
  if (abi >= 6) attribute.scoped = kScopeAll;
  UniqueFd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attribute, AttributeSize(abi), 0)));
  if (!ruleset.valid()) return ErrnoStatus(errno, "Landlock ruleset");
  for (const LandlockRule& rule : rules) {
    RETURN_IF_ERROR(AddRule(ruleset.get(), attribute.handled_access_fs, rule));
  }
  return ruleset;
}

int LandlockRestrictSelf(int ruleset_fd) noexcept {
  return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) == 0 ? 0 : errno;
}

}  // namespace exeat::guardian
