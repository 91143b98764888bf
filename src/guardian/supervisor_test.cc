#include "guardian/supervisor.h"

#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/testing/fake_processes.h"

namespace exeat::guardian {
namespace {

using std::chrono::milliseconds;

EnvoyCommand Command(const std::string& name = "envoy") {
  EnvoyCommand command;
  command.binary = "/opt/" + name;
  command.argv = {name, "-c", "bootstrap.json"};
  command.run_directory = "/state/envoy";
  return command;
}

// A control that beats and has its Envoy.
class Serving : public ::testing::Test {
 protected:
  Serving() {
    world_.Happen(TimerTicked{});
    world_.BeatNow();
    world_.Message(StartEnvoy{Command()});
    EXPECT_EQ(world_.envoys(), 1);
    world_.Message(Ready{"ready proxy=here"});
    world_.Forget();
  }
  FakeProcesses world_;
};

TEST(SupervisorStart, SpawnsControlFirstAndNoEnvoyUntilAsked) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  world.BeatNow();
  world.Pass(milliseconds(2000), true);
  EXPECT_EQ(world.Count<SpawnControl>(), 1);
  EXPECT_EQ(world.Count<SpawnEnvoy>(), 0);
}

TEST(SupervisorStart, AnEnvoyAskedForBeforeTheFirstBeatWaitsForIt) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  world.Message(StartEnvoy{Command()});
  world.Pass(milliseconds(500), false);
  EXPECT_EQ(world.envoys(), 0);
  world.BeatNow();
  EXPECT_EQ(world.envoys(), 1);
  EXPECT_EQ(world.CountSent<EnvoyStarted>(), 1);
}

TEST(SupervisorStart, AControlThatNeverBeatsIsKilledAfterItsGraceAndReplaced) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  world.Pass(milliseconds(9900), false);
  EXPECT_FALSE(world.ControlSignalled(SIGKILL));
  world.Pass(milliseconds(100), false);
  EXPECT_TRUE(world.ControlSignalled(SIGKILL));
  EXPECT_EQ(world.Count<CloseLink>(), 1);
  EXPECT_EQ(world.Count<SpawnControl>(), 2);
}

TEST(SupervisorStart, AControlThatCannotBeSpawnedIsTriedAgain) {
  FakeProcesses world;
  world.control_can_start = false;
  world.Happen(TimerTicked{});
  world.Pass(milliseconds(1000), false);
  EXPECT_GE(world.Count<SpawnControl>(), 3);
  world.control_can_start = true;
  world.Pass(milliseconds(2000), false);
  EXPECT_EQ(world.controls(), 1);
  EXPECT_FALSE(world.exited());
}

TEST(SupervisorStart, AFatalBeforeTheFirstReadyEndsEverythingWithItsCodeAndOnlyItsMessage) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  world.BeatNow();
  world.Message(StartEnvoy{Command()});
  world.Message(Fatal{2, "exeat.yaml:3: unknown key"});
  EXPECT_TRUE(world.exited());
  EXPECT_EQ(world.exit_code(), 2);
  EXPECT_EQ(world.envoys(), 0);
  EXPECT_EQ(world.controls(), 0);
  ASSERT_EQ(world.Count<PrintError>(), 1);
  EXPECT_EQ(world.Count<LogLine>(), 0);
  EXPECT_EQ(world.Count<PrintReady>(), 0);
}

TEST(SupervisorStart, AFatalThatClaimsSuccessStillFails) {
  for (const int code : {0, 256, -1}) {
    FakeProcesses world;
    world.Happen(TimerTicked{});
    world.Message(Fatal{code, "no"});
    EXPECT_TRUE(world.exited());
    EXPECT_EQ(world.exit_code(), 1) << code;
  }
}

TEST(SupervisorStart, ACrashLoopNeverEndsTheGuardian) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  for (int i = 0; i < 100; ++i) {
    if (world.controls() == 1) world.EndControl(SIGSEGV);
    world.Pass(milliseconds(5100), false);
    ASSERT_EQ(world.controls(), 1) << i;
  }
  EXPECT_FALSE(world.exited());
}

TEST_F(Serving, AFatalAfterTheFirstReadyIsACrashLikeAnyOther) {
  world_.Message(Fatal{2, "policy vanished"});
  EXPECT_FALSE(world_.exited());
  EXPECT_TRUE(world_.ControlSignalled(SIGKILL));
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
}

TEST_F(Serving, AskingAgainForTheSameEnvoyNamesTheOneThatRuns) {
  world_.Message(StartEnvoy{Command()});
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0);
  EXPECT_EQ(world_.CountSent<EnvoyStarted>(), 1);
}

TEST_F(Serving, AnotherCommandReplacesEnvoyAndNeverRunsTwo) {
  world_.dies_of_sigterm = false;
  world_.Message(StartEnvoy{Command("other")});
  EXPECT_TRUE(world_.EnvoySignalled(SIGTERM));
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0);
  world_.Pass(milliseconds(2000), true);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  ASSERT_EQ(world_.Count<SpawnEnvoy>(), 1);
  EXPECT_EQ(world_.most_envoys(), 1);
}

TEST_F(Serving, StopEnvoyEndsItForGood) {
  world_.Message(StopEnvoy{});
  EXPECT_TRUE(world_.EnvoySignalled(SIGTERM));
  EXPECT_EQ(world_.CountSent<EnvoyExited>(), 1);
  world_.Pass(milliseconds(3000), true);
  EXPECT_EQ(world_.envoys(), 0);
}

TEST_F(Serving, EachReadinessIsPrintedOnce) {
  world_.Message(Ready{"ready again"});
  EXPECT_EQ(world_.Count<PrintReady>(), 0);
  world_.EndControl(SIGKILL);
  world_.BeatNow();
  world_.Message(Ready{"ready anew"});
  EXPECT_EQ(world_.Count<PrintReady>(), 1);
}

// --- control ends ---

TEST_F(Serving, AControlThatEndsTakesItsEnvoyWithItAndIsReplacedAtOnce) {
  world_.EndControl(SIGKILL);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_EQ(world_.envoys(), 0);
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
  EXPECT_EQ(world_.Count<CloseLink>(), 1);
  world_.Pass(milliseconds(500), false);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0) << "the new control has not asked for one";
  world_.Message(StartEnvoy{Command()});
  world_.Pass(milliseconds(500), false);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0) << "nor beaten";
  world_.BeatNow();
  EXPECT_EQ(world_.envoys(), 1);
  EXPECT_EQ(world_.CountSent<EnvoyStarted>(), 1);
  EXPECT_EQ(world_.CountSent<EnvoyExited>(), 0) << "that was not its own";
}

TEST_F(Serving, AControlThatEndsByItselfTakesItsEnvoyWithItToo) {
  world_.EndControl(0);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
}

TEST_F(Serving, TheNextControlWaitsForTheOldEnvoysPortsButNotForEver) {
  world_.dies_at_all = false;
  world_.EndControl(SIGKILL);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  world_.Pass(milliseconds(900), false);
  EXPECT_EQ(world_.Count<SpawnControl>(), 0);
  world_.Pass(milliseconds(100), false);
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
  world_.BeatNow();
  world_.Message(StartEnvoy{Command()});
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0);
  world_.EndEnvoy(SIGKILL);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 1);
  EXPECT_EQ(world_.CountSent<EnvoyExited>(), 0) << "that was not its own";
}

TEST_F(Serving, AKilledControlsEnvoyDoesNotWaitForTheBody) {
  world_.dies_at_all = false;
  world_.Happen(LinkBroken{"malformed"});
  ASSERT_FALSE(world_.seen().empty());
  ASSERT_TRUE(std::holds_alternative<SignalEnvoy>(world_.seen().front())) << "Envoy first";
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
}

TEST_F(Serving, AnEnvoyThatWasBeingEndedGentlyDiesWithItsControlAtOnce) {
  world_.dies_of_sigterm = false;
  world_.Message(StopEnvoy{});
  EXPECT_EQ(world_.envoys(), 1);
  world_.EndControl(SIGKILL);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
}

TEST_F(Serving, RestartsBackOffFromNothingToFiveSecondsAndHealthResetsThem) {
  for (const int expected_ms : {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    world_.Forget();
    world_.EndControl(SIGKILL);
    int waited_ms = 0;
    while (world_.Count<SpawnControl>() == 0 && waited_ms < 10000) {
      world_.Pass(milliseconds(100), false);
      waited_ms += 100;
    }
    EXPECT_EQ(waited_ms, expected_ms);
  }
  world_.BeatNow();
  world_.Pass(milliseconds(30000), true);
  world_.Forget();
  world_.EndControl(SIGKILL);
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
}

TEST_F(Serving, ABrokenLinkKillsControlAndReplacesIt) {
  world_.Happen(LinkBroken{"malformed"});
  EXPECT_TRUE(world_.ControlSignalled(SIGKILL));
  EXPECT_EQ(world_.Count<CloseLink>(), 1);
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_EQ(world_.envoys(), 0);
}

TEST_F(Serving, NothingFromAKilledControlCounts) {
  world_.dies_at_all = false;
  world_.Happen(LinkBroken{"malformed"});
  world_.Pass(milliseconds(800), true);
  world_.BeatNow();
  world_.Message(Ready{"ready"});
  world_.Pass(milliseconds(200), true);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_EQ(world_.Count<PrintReady>(), 0);
}

// --- control is silent ---

TEST_F(Serving, ASilentControlCostsEnvoyItsLifeAtTheLeaseAndItselfLater) {
  world_.Pass(milliseconds(900), false);
  EXPECT_EQ(world_.envoys(), 1);
  world_.Pass(milliseconds(100), false);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_FALSE(world_.ControlSignalled(SIGKILL));
  world_.Pass(milliseconds(1000), false);
  EXPECT_TRUE(world_.ControlSignalled(SIGKILL));
  EXPECT_EQ(world_.Count<SpawnControl>(), 1);
}

TEST_F(Serving, AControlThatComesBackInTimeGetsItsEnvoyAnew) {
  world_.Pass(milliseconds(1500), false);
  EXPECT_EQ(world_.envoys(), 0);
  world_.BeatNow();
  EXPECT_EQ(world_.envoys(), 1);
  EXPECT_EQ(world_.CountSent<EnvoyExited>(), 1);
  EXPECT_EQ(world_.CountSent<EnvoyStarted>(), 1);
}

TEST_F(Serving, OtherMessagesAreNoBeats) {
  for (int i = 0; i < 10; ++i) {
    world_.Pass(milliseconds(100), false);
    world_.Message(StartEnvoy{Command()});
  }
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
}

TEST_F(Serving, ABeatThatLayUnreadCountsFromWhenItWasSent) {
  const auto sent = world_.clock().BootNow();
  world_.clock().Advance(milliseconds(5000));
  world_.Message(Beat{sent.count()});
  world_.Happen(TimerTicked{});
  EXPECT_EQ(world_.envoys(), 0);
}

TEST_F(Serving, ABeatFromTheFutureCountsAsNow) {
  world_.Message(Beat{INT64_MAX});
  world_.Pass(milliseconds(1000), false);
  EXPECT_EQ(world_.envoys(), 0);
}

TEST_F(Serving, AGuardianThatWokeLateReadsTheBeatsBeforeItJudges) {
  world_.clock().Advance(milliseconds(1500));
  world_.Message(Ready{"anything that lay before the beat"});
  world_.BeatNow();
  world_.Happen(TimerTicked{});
  EXPECT_EQ(world_.envoys(), 1);
}

// --- Envoy ends ---

TEST_F(Serving, AnEnvoyThatEndsIsReportedAndRestartedWithBackOff) {
  world_.EndEnvoy(SIGSEGV);
  EXPECT_EQ(world_.CountSent<EnvoyExited>(), 1);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 1) << "the first time at once";
  world_.EndEnvoy(SIGSEGV);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 1);
  world_.Pass(milliseconds(100), true);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 2);
  EXPECT_EQ(world_.CountSent<EnvoyStarted>(), 2);
}

TEST_F(Serving, NoEnvoyIsRestartedWhileControlIsSilent) {
  world_.Pass(milliseconds(1000), false);
  world_.Forget();
  world_.Pass(milliseconds(900), false);
  EXPECT_EQ(world_.Count<SpawnEnvoy>(), 0);
}

TEST_F(Serving, AnEnvoyThatCannotBeStartedIsToldToControlAndTriedAgain) {
  world_.envoy_can_start = false;
  world_.EndEnvoy(SIGSEGV);
  world_.Pass(milliseconds(1000), true);
  EXPECT_GE(world_.CountSent<EnvoyFailed>(), 3);
  world_.envoy_can_start = true;
  world_.Pass(milliseconds(2000), true);
  EXPECT_EQ(world_.envoys(), 1);
}

// --- the end ---

TEST_F(Serving, SigtermDrainsThenEndsEnvoyThenControlThenLeavesWithZero) {
  world_.Happen(TerminateAsked{});
  EXPECT_EQ(world_.CountSent<Drain>(), 1);
  EXPECT_EQ(world_.envoys(), 1);
  world_.Pass(milliseconds(1000), true);
  EXPECT_EQ(world_.envoys(), 1) << "it may drain for five seconds";
  world_.Forget();
  world_.Message(Drained{});
  EXPECT_TRUE(world_.exited());
  EXPECT_EQ(world_.exit_code(), 0);
  EXPECT_FALSE(world_.EnvoySignalled(SIGKILL));
  EXPECT_FALSE(world_.ControlSignalled(SIGKILL));
  const auto& first = world_.seen().front();
  ASSERT_TRUE(std::holds_alternative<SignalEnvoy>(first));
  EXPECT_EQ(std::get<SignalEnvoy>(first).signal, SIGTERM);
  EXPECT_TRUE(world_.ControlSignalled(SIGTERM));
}

TEST_F(Serving, ADrainThatDoesNotEndIsCutOffAtItsTimeout) {
  world_.Happen(TerminateAsked{});
  world_.Pass(milliseconds(4900), true);
  EXPECT_EQ(world_.envoys(), 1);
  world_.Pass(milliseconds(100), true);
  EXPECT_TRUE(world_.exited());
  EXPECT_EQ(world_.exit_code(), 0);
}

TEST_F(Serving, ChildrenThatIgnoreSigtermAreKilledInBoundedTime) {
  world_.dies_of_sigterm = false;
  world_.Happen(TerminateAsked{});
  world_.Message(Drained{});
  world_.Pass(milliseconds(900), true);
  EXPECT_EQ(world_.envoys(), 1);
  world_.Pass(milliseconds(100), true);
  EXPECT_EQ(world_.envoys(), 0);
  EXPECT_TRUE(world_.ControlSignalled(SIGTERM)) << "control gets time of its own";
  world_.Pass(milliseconds(1000), true);
  EXPECT_TRUE(world_.exited());
  EXPECT_EQ(world_.exit_code(), 0);
}

TEST_F(Serving, ASecondSigtermKillsAtOnce) {
  world_.dies_of_sigterm = false;
  world_.Happen(TerminateAsked{});
  world_.Happen(TerminateAsked{});
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_TRUE(world_.ControlSignalled(SIGKILL));
  EXPECT_TRUE(world_.exited());
  EXPECT_EQ(world_.exit_code(), 0);
}

TEST_F(Serving, AChildThatEvenSigkillDoesNotEndIsNotWaitedForLong) {
  world_.dies_at_all = false;
  world_.Happen(TerminateAsked{});
  world_.Happen(TerminateAsked{});
  EXPECT_FALSE(world_.exited());
  world_.Pass(milliseconds(1000), false);
  EXPECT_TRUE(world_.exited());
}

TEST_F(Serving, TheLeaseHoldsWhileDraining) {
  world_.Happen(TerminateAsked{});
  world_.Pass(milliseconds(1000), false);
  EXPECT_EQ(world_.envoys(), 0);
  world_.Pass(milliseconds(2000), false);
  EXPECT_TRUE(world_.exited());
}

TEST_F(Serving, NothingIsRestartedWhileDraining) {
  world_.Happen(TerminateAsked{});
  world_.Forget();
  world_.EndControl(SIGKILL);
  EXPECT_EQ(world_.Count<SpawnControl>(), 0);
  EXPECT_TRUE(world_.EnvoySignalled(SIGKILL));
  EXPECT_TRUE(world_.exited()) << "with no one to drain there is nothing to wait for";
}

TEST(SupervisorEnd, SigtermBeforeAnythingServesNeedsNoDrain) {
  FakeProcesses world;
  world.Happen(TimerTicked{});
  world.Happen(TerminateAsked{});
  EXPECT_EQ(world.CountSent<Drain>(), 0);
  EXPECT_TRUE(world.exited());
  EXPECT_EQ(world.exit_code(), 0);
}

TEST_F(Serving, AControlThatClosesItsLinkWhileEndingIsLeftToEnd) {
  world_.dies_of_sigterm = false;
  world_.Happen(TerminateAsked{});
  world_.Message(Drained{});
  world_.EndEnvoy(SIGTERM);
  ASSERT_TRUE(world_.ControlSignalled(SIGTERM));
  world_.Happen(LinkBroken{"closed"});
  EXPECT_FALSE(world_.ControlSignalled(SIGKILL));
  world_.EndControl(0);
  EXPECT_TRUE(world_.exited());
}

TEST_F(Serving, SighupReachesControlAndOnlyALivingOne) {
  world_.Happen(ReloadAsked{});
  EXPECT_EQ(world_.CountSent<Reload>(), 1);
  world_.EndControl(SIGKILL);
  world_.EndControl(SIGKILL);
  ASSERT_EQ(world_.controls(), 0);
  world_.Forget();
  world_.Happen(ReloadAsked{});
  EXPECT_EQ(world_.CountSent<Reload>(), 0);
  EXPECT_EQ(world_.Count<LogLine>(), 1) << "said, not swallowed";
}

TEST_F(Serving, KillsComeBeforeOutput) {
  world_.Pass(milliseconds(1000), false);
  bool printed = false;
  for (const Action& action : world_.seen()) {
    if (std::holds_alternative<LogLine>(action)) printed = true;
    EXPECT_FALSE(printed && std::holds_alternative<SignalEnvoy>(action));
  }
  EXPECT_TRUE(printed);
}

TEST_F(Serving, AfterTheExitNothingIsDone) {
  world_.Happen(TerminateAsked{});
  world_.Message(Drained{});
  ASSERT_TRUE(world_.exited());
  world_.Forget();
  world_.Pass(milliseconds(1000), true);
  world_.Happen(TerminateAsked{});
  EXPECT_TRUE(world_.seen().empty());
}

}  // namespace
}  // namespace exeat::guardian
