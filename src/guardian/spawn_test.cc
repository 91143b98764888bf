#include "guardian/spawn.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusSays;
using std::chrono::milliseconds;

ChildPlan Shell(const std::string& script) {
  ChildPlan plan;
  plan.path = "/bin/sh";
  plan.argv = {"sh", "-c", script};
  plan.environment = {"PATH=/usr/bin:/bin", "GIVEN=yes"};
  return plan;
}

int ExitStatus(const ChildPlan& plan) {
  const auto pid = Spawn(plan, milliseconds(10000));
  EXPECT_THAT(pid, IsOk());
  if (!pid.ok()) return -1;
  int status = 0;
  waitpid(*pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Spawn, GivesExactlyTheEnvironmentThatWasAsked) {
  setenv("INHERITED", "no", 1);
  EXPECT_EQ(ExitStatus(Shell(R"([ "$GIVEN" = yes ] && [ -z "$INHERITED" ] && exit 7)")), 7);
}

TEST(Spawn, LeavesOpenOnlyWhatIsToBeInherited) {
  // Deliberately without close-on-exec: what some library forgot.
  const base::UniqueFd leaked(open("/dev/null", O_RDONLY));
  const base::UniqueFd given(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ChildPlan plan =
      Shell("[ -e /proc/$$/fd/" + std::to_string(given.get()) + " ] && [ ! -e /proc/$$/fd/" +
            std::to_string(leaked.get()) + " ] && exit 7");
  plan.inherited_fd = given.get();
  EXPECT_EQ(ExitStatus(plan), 7);
}

TEST(Spawn, ReadsNothingOnStandardInput) {
  EXPECT_EQ(ExitStatus(Shell("read line; [ $? -eq 1 ] && exit 7")), 7);
}

TEST(Spawn, SaysWhatFailedAndLeavesNoChild) {
  ChildPlan plan = Shell("");
  plan.path = "/nonexistent/program";
  EXPECT_THAT(Spawn(plan, milliseconds(10000)),
              StatusSays(StatusCode::kUnavailable, "/nonexistent/program: exec: No such file"));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Spawn, ExecutesABinaryThatTheNewUidCannotWalkTo) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: no uid to change to";
  TempDirectory directory;
  ASSERT_THAT(PrepareRunDirectory(directory / "run", kEnvoyUid, kEnvoyUid), IsOk());
  std::filesystem::create_directory(directory / "roots");
  std::filesystem::copy_file("/bin/sleep", directory / "roots" + "/sleep");
  chmod((directory / "roots").c_str(), 0700);
  ConfinementRequest request;
  request.binary = directory / "roots" + "/sleep";
  request.run_directory = directory / "run";
  const auto confinement = Confinement::Prepare(request);
  ASSERT_THAT(confinement, IsOk());
  ChildPlan plan;
  plan.path = request.binary;
  plan.argv = {"sleep", "0"};
  plan.confinement = &*confinement;
  EXPECT_EQ(ExitStatus(plan), 0);
}

}  // namespace
}  // namespace exeat::guardian
