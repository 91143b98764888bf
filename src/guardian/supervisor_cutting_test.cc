#include <signal.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/supervisor.h"
#include "guardian/testing/fake_processes.h"

namespace exeat::guardian {
namespace {

EnvoyCommand Command() {
  EnvoyCommand command;
  command.binary = "/opt/envoy";
  command.run_directory = "/state/envoy";
  return command;
}

class CuttingSupervisor : public ::testing::Test {
 protected:
  CuttingSupervisor() {
    world_.Happen(TimerTicked{});
    world_.BeatNow();
    world_.Message(StartEnvoy{Command()});
    EXPECT_EQ(world_.envoys(), 1);
    world_.Forget();
  }
  FakeProcesses world_;
};

CutSockets Batch(std::uint64_t number, const std::vector<std::uint64_t>& cookies) {
  CutSockets out;
  out.batch = number;
  for (const std::uint64_t cookie : cookies) out.sockets.emplace_back().cookie = cookie;
  return out;
}

TEST_F(CuttingSupervisor, EnvoyStartedTellsHowItsConnectionsCanBeCut) {
  world_.Message(StartEnvoy{Command()});
  ASSERT_EQ(world_.CountSent<EnvoyStarted>(), 1);
  const auto& sent = std::get<SendToControl>(world_.seen().front()).message;
  EXPECT_EQ(std::get<EnvoyStarted>(sent).cutting, "by word");
  EXPECT_EQ(std::get<EnvoyStarted>(sent).cut_means, 3U);
}

TEST_F(CuttingSupervisor, WhatIsToBeCutIsPassedOnAndItsAnswerComesBack) {
  world_.Message(Batch(7, {1, 2}));
  ASSERT_EQ(world_.Count<CutEnvoySockets>(), 1);
  EXPECT_EQ(std::get<CutEnvoySockets>(world_.seen().front()).request, Batch(7, {1, 2}));
  world_.Happen(CutEnded{SocketsCut{7, {1}, {2}, 99}});
  ASSERT_EQ(world_.CountSent<SocketsCut>(), 1);
  EXPECT_EQ(std::get<SendToControl>(world_.seen().back()).message,
            ToControl(SocketsCut{7, {1}, {2}, 99}));
}

TEST_F(CuttingSupervisor, WithoutAnEnvoyEverythingIsClosed) {
  world_.Message(StopEnvoy{});
  world_.Message(Batch(8, {3, 4}));
  EXPECT_EQ(world_.Count<CutEnvoySockets>(), 0);
  ASSERT_EQ(world_.CountSent<SocketsCut>(), 1);
  EXPECT_EQ(std::get<SendToControl>(world_.seen().back()).message,
            ToControl(SocketsCut{8, {3, 4}, {}, 0}));
}

TEST_F(CuttingSupervisor, CutsGoOnWhileDraining) {
  world_.Happen(TerminateAsked{});
  world_.Message(Batch(9, {1}));
  EXPECT_EQ(world_.Count<CutEnvoySockets>(), 1);
}

TEST_F(CuttingSupervisor, AnAnswerForAControlThatIsGoneIsDropped) {
  world_.dies_at_all = false;
  world_.Message(Batch(7, {1}));
  world_.Happen(LinkBroken{"malformed"});
  world_.Happen(CutEnded{SocketsCut{7, {1}, {}, 0}});
  EXPECT_EQ(world_.CountSent<SocketsCut>(), 0);
}

}  // namespace
}  // namespace exeat::guardian
