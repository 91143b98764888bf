#include "guardian/runner.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/testing/edge_under_test.h"

namespace exeat::guardian {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr milliseconds kSoon{10000};

// The children of a process with the state of each, "Z" for a zombie.
std::vector<std::pair<pid_t, char>> ChildrenOf(pid_t parent) {
  std::vector<std::pair<pid_t, char>> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const int pid = atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    std::getline(stat, line);
    const std::size_t name_end = line.rfind(')');
    char state = 0;
    int its_parent = 0;
    if (name_end == std::string::npos ||
        sscanf(line.c_str() + name_end + 1, " %c %d", &state, &its_parent) != 2) {
      continue;
    }
    if (its_parent == parent) out.emplace_back(pid, state);
  }
  return out;
}

TEST(Guardian, StartsControlAndEnvoyAndPrintsReadyOnce) {
  EdgeUnderTest edge("plain");
  const auto pids = edge.WaitReady();
  ASSERT_TRUE(pids) << edge.Stderr();
  EXPECT_TRUE(Watched(pids->first).Alive());
  EXPECT_TRUE(Watched(pids->second).Alive());
  edge.Signal(SIGTERM);
  EXPECT_EQ(edge.WaitExit(kSoon), 0);
  EXPECT_EQ(edge.OutputLine(), "") << "nothing but the ready line";
}

TEST(Guardian, KeepsChildrenUndumpableWithoutCoresAndInSessionsOfTheirOwn) {
  EdgeUnderTest edge("plain");
  EXPECT_THAT(edge.Report("control"),
              HasSubstr("dumpable=0 core=0 own_session=true no_new_privs=1"));
}

TEST(Guardian, AKilledControlTakesItsEnvoyWithItAtOnceAndBothAreReplaced) {
  EdgeUnderTest edge("plain");
  const auto before = edge.WaitReady();
  ASSERT_TRUE(before);
  const Watched envoy(before->second);
  Watched(before->first).Signal(SIGKILL);
  EXPECT_TRUE(envoy.EndsWithin(milliseconds(500))) << "well within the lease";
  const auto after = edge.WaitReady();
  ASSERT_TRUE(after) << edge.Stderr();
  EXPECT_NE(after->first, before->first);
  EXPECT_NE(after->second, before->second);
}

TEST(Guardian, KillsTheEnvoyOfAStoppedControlWithinTwoSecondsAndRecovers) {
  EdgeUnderTest edge("plain");
  const auto before = edge.WaitReady();
  ASSERT_TRUE(before);
  const Watched control(before->first);
  const Watched envoy(before->second);
  control.Signal(SIGSTOP);
  EXPECT_TRUE(envoy.EndsWithin(milliseconds(2000)));
  EXPECT_TRUE(control.EndsWithin(milliseconds(3000)));
  const auto after = edge.WaitReady();
  ASSERT_TRUE(after) << edge.Stderr();
  EXPECT_NE(after->first, before->first);
  EXPECT_NE(after->second, before->second);
}

TEST(Guardian, RestartsAKilledEnvoyAndTellsControl) {
  EdgeUnderTest edge("plain");
  const auto pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  ASSERT_EQ(edge.Report("envoy-started"), std::to_string(pids->second));
  Watched(pids->second).Signal(SIGKILL);
  EXPECT_EQ(edge.Report("envoy-exited"), "signal 9");
  const std::string again = edge.Report("envoy-started");
  EXPECT_NE(again, "");
  EXPECT_NE(again, std::to_string(pids->second));
}

TEST(Guardian, TakesBothChildrenWithItWhenItIsKilled) {
  EdgeUnderTest edge("stubborn");
  const auto pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  const Watched control(pids->first);
  const Watched envoy(pids->second);
  edge.Signal(SIGKILL);
  EXPECT_EQ(edge.WaitExit(kSoon), 1000 + SIGKILL);
  EXPECT_TRUE(envoy.EndsWithin(milliseconds(1000)));
  EXPECT_TRUE(control.EndsWithin(milliseconds(1000)));
}

TEST(Guardian, DrainsOnSigtermAndLeavesNoOneBehind) {
  EdgeUnderTest edge("plain");
  const auto pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  const Watched control(pids->first);
  const Watched envoy(pids->second);
  edge.Signal(SIGTERM);
  EXPECT_EQ(edge.Report("drain"), "yes");
  EXPECT_EQ(edge.WaitExit(milliseconds(4000)), 0);
  EXPECT_FALSE(control.Alive());
  EXPECT_FALSE(envoy.Alive());
}

TEST(Guardian, ASecondSigtermEndsAtOnceWhatWillNotDrain) {
  EdgeUnderTest edge("stubborn");
  const auto pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  const Watched control(pids->first);
  const Watched envoy(pids->second);
  edge.Signal(SIGTERM);
  EXPECT_EQ(edge.Report("drain"), "yes");
  edge.Signal(SIGTERM);
  EXPECT_EQ(edge.WaitExit(milliseconds(1500)), 0);
  EXPECT_FALSE(control.Alive());
  EXPECT_FALSE(envoy.Alive());
}

TEST(Guardian, ReapsEveryChildItsOwnAndOthers) {
  EdgeUnderTest edge("plain");
  auto pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  Watched(pids->first).Signal(SIGKILL);
  pids = edge.WaitReady();
  ASSERT_TRUE(pids);
  const auto children = ChildrenOf(edge.pid());
  EXPECT_EQ(children.size(), 2U);
  for (const auto& [pid, state] : children) {
    EXPECT_NE(state, 'Z') << pid;
    EXPECT_TRUE(pid == pids->first || pid == pids->second) << pid;
  }
}

TEST(Guardian, ARefusedStartExitsWithItsCodeAndPrintsOnlyItsMessage) {
  EdgeUnderTest edge("fatal");
  EXPECT_EQ(edge.WaitExit(kSoon), 2);
  EXPECT_EQ(edge.OutputLine(), "");
  EXPECT_EQ(edge.Stderr(), "exeat.yaml:3: unknown key `lisetners`\n");
}

TEST(Guardian, AControlThatBreaksItsLinkIsReplaced) {
  EdgeUnderTest edge("garbage-once");
  const std::string first = edge.Report("control");
  const std::string second = edge.Report("control");
  EXPECT_NE(second, "");
  EXPECT_NE(first, second);
  EXPECT_TRUE(edge.WaitReady());
  EXPECT_THAT(edge.Stderr(), HasSubstr("malformed link message"));
}

TEST(Guardian, CutsTheConnectionsThatControlNamesAndSaysHowItCan) {
  EdgeUnderTest edge("cut");
  const std::string means = edge.Report("cutting");
  if (means.starts_with("none") || means == "SOCK_DESTROY") {
    GTEST_SKIP() << "NO CUTTING WITH EVIDENCE HERE, not tested: " << means;
  }
  EXPECT_THAT(means, HasSubstr("pidfd_getfd"));
  EXPECT_EQ(edge.Report("cut"), "batch=7 closed=3 open=0 reset=3 bystander=true") << edge.Stderr();
}

TEST(Guardian, HearsSignalsAndKeepsWatchWhileACutTakesLong) {
  EdgeUnderTest edge("cut-deaf");
  if (edge.Report("cutting").starts_with("none")) GTEST_SKIP() << "NO CUTTING HERE: not tested";
  ASSERT_EQ(edge.Report("asked"), "yes");
  edge.Signal(SIGHUP);
  EXPECT_EQ(edge.Report("reload"), "yes") << "the cut's answer came first";
  EXPECT_EQ(edge.Report("cut"), "batch=7 closed=0 open=1 reset=1 bystander=true");
}

TEST(Guardian, SighupReachesControl) {
  EdgeUnderTest edge("plain");
  ASSERT_TRUE(edge.WaitReady());
  edge.Signal(SIGHUP);
  EXPECT_EQ(edge.Report("reload"), "yes");
}

TEST(Guardian, TellsControlWhyEnvoyCannotBeStarted) {
  EdgeUnderTest edge("bad-run-dir");
  EXPECT_THAT(edge.Report("envoy-failed"), HasSubstr("/run/absent: No such file"));
}

TEST(Guardian, StartsEnvoyConfined) {
  EdgeUnderTest edge("probe");
  ASSERT_TRUE(edge.WaitReady()) << edge.Stderr();
  const std::set<std::string> seen = edge.ProbeLines();
  ASSERT_THAT(seen, Contains("end"));
  EXPECT_THAT(seen, Contains("fds=0,1,2,"));
  EXPECT_THAT(seen, Contains("no_new_privs=1"));
  EXPECT_THAT(seen, Contains("capabilities=0000000000000000"));
  EXPECT_THAT(seen, Contains("inside=ok"));
  EXPECT_THAT(seen, Contains("guardian_memory=EACCES"));
  EXPECT_THAT(seen, Contains("core=0"));
  if (geteuid() == 0) {
    EXPECT_THAT(seen, Contains("uid=61184"));
    EXPECT_THAT(seen, Contains("groups=0"));
    EXPECT_THAT(seen, Contains("guardian_signal=EPERM"));
  }
  if (LandlockAbi() == 0) GTEST_SKIP() << "NO LANDLOCK in this kernel: file access not tested";
  EXPECT_THAT(seen, Contains("secret=EACCES"));
  EXPECT_THAT(seen, Contains("passwd=EACCES"));
  EXPECT_THAT(seen, Contains("outside=EACCES"));
  if (LandlockAbi() >= 6) {
    EXPECT_THAT(seen, Contains("guardian_signal=EPERM"));
  }
}

}  // namespace
}  // namespace exeat::guardian
