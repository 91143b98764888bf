#include "guardian/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "guardian/landlock.h"
#include "guardian/testing/stand_in.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

// What `body` returns, run in a child; the confinement of a process cannot be taken back.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int BecomeNobody() {
  if (geteuid() != 0) return 0;
  return setgroups(0, nullptr) == 0 && setgid(kEnvoyUid) == 0 && setuid(kEnvoyUid) == 0 ? 0 : 200;
}

int OpenError(const std::string& path, int mode) {
  const base::UniqueFd fd(open(path.c_str(), mode | O_CLOEXEC, 0600));
  return fd.valid() ? 0 : errno;
}

// This process as on a kernel without Landlock, for good.
bool LoseLandlock() {
  std::array<sock_filter, 4> filter = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 && LandlockAbi() == 0;
}

// The permitted capabilities of this process; all of them when that cannot be told.
std::uint64_t Permitted() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return ~0ULL;
  return sets[0].permitted | std::uint64_t{sets[1].permitted} << 32U;
}

bool LoseCapability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0) return false;
  sets[0].effective &= ~(1U << capability);
  sets[0].permitted &= ~(1U << capability);
  return syscall(SYS_capset, &header, sets.data()) == 0;
}

class Confine : public ::testing::Test {
 protected:
  Confine() {
    std::ofstream(directory_ / "secret") << "the key";
    chmod((directory_ / "secret").c_str(), 0644);
    EXPECT_THAT(PrepareRunDirectory(directory_ / "run", kEnvoyUid, kEnvoyUid), IsOk());
    request_.binary = OwnExecutable();
    request_.run_directory = directory_ / "run";
  }
  // As an ordinary user: confined, then `body`.
  int Confined(const std::function<int()>& body) {
    return InChild([&] {
      if (BecomeNobody() != 0) return 200;
      const auto confinement = Confinement::Prepare(request_);
      if (!confinement.ok()) return 201;
      if (confinement->Apply()) return 202;
      return body();
    });
  }
  TempDirectory directory_;
  ConfinementRequest request_;
};

TEST_F(Confine, AnOrdinaryUsersEnvoyCannotReadStateByLandlockAlone) {
  if (LandlockAbi() == 0) GTEST_SKIP() << "NO LANDLOCK in this kernel";
  ASSERT_EQ(InChild([&] { return BecomeNobody() + OpenError(directory_ / "secret", O_RDONLY); }), 0)
      << "unconfined it can: the test shows Landlock and nothing else";
  EXPECT_EQ(Confined([&] { return OpenError(directory_ / "secret", O_RDONLY); }), EACCES);
  EXPECT_EQ(Confined([&] { return OpenError("/etc/passwd", O_RDONLY); }), EACCES);
  EXPECT_EQ(Confined([&] { return OpenError("/tmp", O_RDONLY); }), EACCES);
}

TEST_F(Confine, TheRunDirectoryIsTheWorkingDirectoryAndWritable) {
  EXPECT_EQ(Confined([&] { return OpenError("mine", O_CREAT | O_RDWR | O_TRUNC); }), 0);
  EXPECT_EQ(Confined([&] { return OpenError(directory_ / "run" + "/mine", O_RDONLY); }), 0);
  EXPECT_EQ(Confined([&] { return unlink("mine") == 0 ? 0 : errno; }), 0);
}

TEST_F(Confine, WhatEnvoyNeedsOfTheSystemStaysOpen) {
  EXPECT_EQ(Confined([&] { return OpenError("/proc/self/status", O_RDONLY); }), 0);
  EXPECT_EQ(Confined([&] { return OpenError("/dev/urandom", O_RDONLY); }), 0);
  EXPECT_EQ(Confined([&] { return OpenError("/dev/null", O_RDWR); }), 0);
  EXPECT_EQ(Confined([&] { return OpenError(request_.binary, O_RDONLY); }), 0);
}

TEST_F(Confine, NothingInTheRunDirectoryCanBeExecuted) {
  if (LandlockAbi() == 0) GTEST_SKIP() << "NO LANDLOCK in this kernel";
  EXPECT_EQ(Confined([&] {
              base::UniqueFd script(open("run-me", O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
              script.Reset();
              execl("./run-me", "run-me", nullptr);
              return errno;
            }),
            EACCES);
}

TEST_F(Confine, RootGivesUpUidGroupsAndCapabilitiesForGood) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: the change of uid is not tested";
  EXPECT_EQ(InChild([&] {
              const auto confinement = Confinement::Prepare(request_);
              if (!confinement.ok() || confinement->Apply()) return 201;
              if (getuid() != kEnvoyUid || getgid() != kEnvoyUid || getgroups(0, nullptr) != 0)
                return 1;
              // Raw, as in Apply: libc would ask the threads of a sanitizer as well.
              if (syscall(SYS_setresuid, 0, 0, 0) == 0 || CanChangeUid()) return 2;
              return OpenError(directory_ / "secret", O_RDONLY) == EACCES ? 0 : 3;
            }),
            0);
}

TEST_F(Confine, RootThatMayNotChangeUidIsConfinedByLandlockAndLosesItsCapabilities) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: no capabilities to lose";
  if (LandlockAbi() == 0) GTEST_SKIP() << "NO LANDLOCK in this kernel";
  request_.run_directory = directory_ / "roots";
  ASSERT_EQ(mkdir(request_.run_directory.c_str(), 0700), 0);
  EXPECT_EQ(InChild([&] {
              if (!LoseCapability(CAP_SETUID) || CanChangeUid()) return 200;
              const auto confinement = Confinement::Prepare(request_);
              if (!confinement.ok() || confinement->Apply()) return 201;
              if (Permitted() != 0) return 1;
              return OpenError(directory_ / "secret", O_RDONLY);
            }),
            EACCES);
}

TEST_F(Confine, NothingIsStartedUnconfinedUnlessThatWasAllowed) {
  EXPECT_EQ(InChild([&] {
              if (BecomeNobody() != 0 || !LoseLandlock()) return 200;
              const auto refused = Confinement::Prepare(request_);
              if (refused.status().code() != StatusCode::kFailedPrecondition) return 1;
              if (base::Message(refused.status()).find("Landlock") == std::string::npos) return 2;
              request_.allow_unconfined = true;
              const auto allowed = Confinement::Prepare(request_);
              if (!allowed.ok() || !allowed->description().starts_with("none")) return 3;
              return allowed->Apply() ? 4 : 0;
            }),
            0);
}

TEST_F(Confine, RootNeedsNoLandlock) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: the change of uid is not tested";
  EXPECT_EQ(InChild([&] {
              if (!LoseLandlock()) return 200;
              const auto confinement = Confinement::Prepare(request_);
              if (!confinement.ok() || confinement->description() != "uid 61184") return 1;
              return confinement->Apply() ? 2 : 0;
            }),
            0);
}

TEST_F(Confine, ARunDirectoryThatEnvoyMayNotUseIsAFailure) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: no directory is another user's";
  ASSERT_EQ(mkdir((directory_ / "roots").c_str(), 0700), 0);
  request_.run_directory = directory_ / "roots";
  EXPECT_EQ(InChild([&] {
              const auto confinement = Confinement::Prepare(request_);
              if (!confinement.ok()) return 201;
              const auto failure = confinement->Apply();
              return failure && failure->step == ChildStep::kRunDirectory ? failure->error_number
                                                                          : 202;
            }),
            EACCES);
}

TEST_F(Confine, ARunDirectoryBehindAClosedOneServesByRelativeNames) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: no directory is another user's";
  ASSERT_EQ(mkdir((directory_ / "state").c_str(), 0700), 0);
  request_.run_directory = directory_ / "state/run";
  ASSERT_THAT(PrepareRunDirectory(request_.run_directory, kEnvoyUid, kEnvoyUid), IsOk());
  EXPECT_EQ(InChild([&] {
              const auto confinement = Confinement::Prepare(request_);
              if (!confinement.ok() || confinement->Apply()) return 201;
              return OpenError("mine", O_CREAT | O_RDWR);
            }),
            0);
}

TEST_F(Confine, UidZeroIsRefused) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: the uid is not used";
  request_.uid = 0;
  EXPECT_THAT(Confinement::Prepare(request_), StatusIs(StatusCode::kFailedPrecondition));
  request_.uid = kEnvoyUid;
  request_.gid = 0;
  EXPECT_THAT(Confinement::Prepare(request_), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(Confine, SaysWhatKeepsEnvoyIn) {
  const auto confinement = Confinement::Prepare(request_);
  ASSERT_THAT(confinement, IsOk());
  if (CanChangeUid()) {
    EXPECT_NE(confinement->description().find("uid 61184"), std::string::npos);
  }
  if (LandlockAbi() > 0) {
    EXPECT_NE(confinement->description().find("Landlock ABI"), std::string::npos);
  }
}

TEST_F(Confine, NamesTheBinaryOrRunDirectoryThatIsNotThere) {
  request_.binary = "/nonexistent/envoy";
  EXPECT_THAT(Confinement::Prepare(request_),
              StatusSays(StatusCode::kNotFound, "/nonexistent/envoy"));
  request_.binary = "relative/envoy";
  EXPECT_THAT(Confinement::Prepare(request_),
              StatusSays(StatusCode::kFailedPrecondition, "absolute"));
}

TEST_F(Confine, PreparingARunDirectoryClosesItToOthersAndTakesOneThatIsThere) {
  const std::string run = directory_ / "run";
  chmod(run.c_str(), 0755);
  EXPECT_THAT(PrepareRunDirectory(run, kEnvoyUid, kEnvoyUid), IsOk());
  struct stat info{};
  ASSERT_EQ(stat(run.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  EXPECT_EQ(info.st_uid, CanChangeUid() ? kEnvoyUid : geteuid());
}

TEST_F(Confine, PreparingARunDirectoryFollowsNoLinkAndTakesNoThirdUsers) {
  ASSERT_EQ(symlink("/etc", (directory_ / "link").c_str()), 0);
  EXPECT_THAT(PrepareRunDirectory(directory_ / "link", kEnvoyUid, kEnvoyUid),
              StatusIs(StatusCode::kFailedPrecondition));
  std::ofstream(directory_ / "file") << "";
  EXPECT_THAT(PrepareRunDirectory(directory_ / "file", kEnvoyUid, kEnvoyUid),
              StatusIs(StatusCode::kFailedPrecondition));
  if (!CanChangeUid()) return;
  ASSERT_EQ(mkdir((directory_ / "third").c_str(), 0700), 0);
  ASSERT_EQ(chown((directory_ / "third").c_str(), 12345, 12345), 0);
  EXPECT_THAT(PrepareRunDirectory(directory_ / "third", kEnvoyUid, kEnvoyUid),
              StatusSays(StatusCode::kFailedPrecondition, "uid 12345"));
}

TEST_F(Confine, WhatIsHandedToEnvoyIsItsOwnAndNoLinkIsFollowed) {
  const std::string path = directory_ / "run/a.sock";
  std::ofstream(path) << "";
  chmod(path.c_str(), 0666);
  ASSERT_THAT(HandToEnvoy(path, kEnvoyUid, kEnvoyUid), IsOk());
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, CanChangeUid() ? kEnvoyUid : geteuid());
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const std::string link = directory_ / "run/link";
  ASSERT_EQ(symlink((directory_ / "secret").c_str(), link.c_str()), 0);
  EXPECT_THAT(HandToEnvoy(link, kEnvoyUid, kEnvoyUid), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_EQ(stat((directory_ / "secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, geteuid());
  EXPECT_THAT(HandToEnvoy(directory_ / "absent", kEnvoyUid, kEnvoyUid),
              StatusIs(StatusCode::kNotFound));
}

TEST(Landlock, EveryAbiUpToThisKernelsMakesARuleset) {
  const int abi = LandlockAbi();
  if (abi == 0) GTEST_SKIP() << "NO LANDLOCK in this kernel";
  for (int one = 1; one <= std::min(abi, 7); ++one) {
    EXPECT_THAT(MakeLandlockRuleset(one, {{"/proc", LandlockAccess::kRead, true},
                                          {"/dev/null", LandlockAccess::kDevice, true},
                                          {"/nonexistent", LandlockAccess::kRead, false}}),
                IsOk())
        << one;
  }
  EXPECT_THAT(MakeLandlockRuleset(abi, {{"/nonexistent", LandlockAccess::kRead, true}}),
              StatusSays(StatusCode::kNotFound, "/nonexistent"));
}

}  // namespace
}  // namespace exeat::guardian
