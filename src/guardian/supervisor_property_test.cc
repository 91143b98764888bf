// Thousands of random lives of the supervisor, each held to the rules that must never break.
#include <signal.h>

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/supervisor.h"
#include "guardian/testing/fake_processes.h"

namespace exeat::guardian {
namespace {

using std::chrono::milliseconds;

EnvoyCommand Command(const std::string& name) {
  EnvoyCommand command;
  command.binary = "/opt/" + name;
  command.argv = {name, "-c", "bootstrap.json"};
  command.run_directory = "/state/envoy";
  return command;
}

class RandomLife {
 public:
  explicit RandomLife(unsigned seed) : random_(seed), seed_(seed) {}

  void Run() {
    world_.Happen(TimerTicked{});
    for (int step = 0; step < 3000 && !world_.exited(); ++step) {
      Something();
      Check(step);
      if (::testing::Test::HasFailure()) return;
    }
    if (world_.exited()) {
      EXPECT_EQ(world_.controls() + (world_.dies_at_all ? world_.envoys() : 0), 0);
    }
  }

 private:
  void Something() {
    switch (Pick(25)) {
      case 0:
        if (world_.controls() == 1) world_.EndControl(SIGKILL);
        break;
      case 1:
        if (world_.controls() == 1) world_.Happen(LinkBroken{"random"});
        break;
      case 2:
        if (world_.envoys() == 1) world_.EndEnvoy(SIGSEGV);
        break;
      case 3:
        if (world_.controls() == 1) world_.Message(StopEnvoy{});
        break;
      case 4:
      case 5:
      case 6:
        if (world_.controls() == 1) world_.Message(StartEnvoy{Command(Pick(4) == 0 ? "b" : "a")});
        break;
      case 7:
        if (world_.controls() == 1) world_.Message(Ready{"ready"});
        break;
      case 8:
        world_.envoy_can_start = Pick(3) != 0;
        world_.control_can_start = Pick(5) != 0;
        world_.dies_of_sigterm = Pick(2) == 0;
        break;
      case 9:
        if (Pick(200) == 0) world_.Happen(TerminateAsked{});
        break;
      case 10:
        Pass(15);
        break;
      case 11:
        if (world_.controls() == 1) world_.Message(Fatal{1, "random"});
        break;
      default:
        if (world_.controls() == 1 && Pick(3) != 0) Beat();
        Pass(1);
    }
  }
  void Beat() {
    beaten_at_ = world_.clock().BootNow();
    world_.BeatNow();
  }
  void Pass(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      world_.clock().Advance(kTickInterval);
      world_.Happen(TimerTicked{});
      Check(-1);
    }
  }
  void Check(int step) {
    ASSERT_LE(world_.most_envoys(), 1) << "seed " << seed_ << " step " << step;
    if (world_.envoys() == 0) return;
    ASSERT_FALSE(world_.envoy_outlives_control()) << "seed " << seed_ << " step " << step;
    ASSERT_LE(world_.clock().BootNow() - beaten_at_, milliseconds(1000) + kTickInterval)
        << "Envoy runs without a beat; seed " << seed_ << " step " << step;
  }
  unsigned Pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  FakeProcesses world_;
  std::mt19937 random_;
  unsigned seed_;
  base::BootTime beaten_at_{0};
};

TEST(SupervisorAtRandom, NeverTwoEnvoysNorOneWithoutItsControlOrABeatInItsLease) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    RandomLife(seed).Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace exeat::guardian
