#include "base/clock.h"

#include "base/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace exeat::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FakeClocks, StandStillUntilMoved) {
  FakeClock clock(1000);
  const BootTime boot = clock.BootNow();
  EXPECT_EQ(clock.UnixNow(), 1000);
  EXPECT_EQ(clock.UnixNow(), 1000);
  EXPECT_EQ(clock.BootNow(), boot);
}

TEST(FakeClocks, AdvanceBothTimesAndStepTheWallAlone) {
  FakeClock clock(1000);
  const BootTime boot = clock.BootNow();
  clock.Advance(seconds(5));
  EXPECT_EQ(clock.UnixNow(), 1005);
  EXPECT_EQ(clock.BootNow() - boot, seconds(5));
  clock.StepWall(-seconds(60));
  EXPECT_EQ(clock.UnixNow(), 945);
  EXPECT_EQ(clock.BootNow() - boot, seconds(5));
}

TEST(UnixTime, RoundsDownAlsoBefore1970) {
  FakeClock clock(10);
  clock.StepWall(milliseconds(999));
  EXPECT_EQ(clock.UnixNow(), 10);
  clock.StepWall(-seconds(20));
  EXPECT_EQ(clock.UnixNow(), -10);  // -9.001 s
}

TEST(TheLowestWallTime, GoesOnWithBootTimeWhateverTheWallIsSetForwardBy) {
  FakeClock clock(1000);
  LowestWall lowest(clock);
  clock.Advance(seconds(10));
  EXPECT_EQ(lowest.UnixNow(), 1010);
  clock.StepWall(std::chrono::hours(48));
  clock.Advance(seconds(5));
  EXPECT_EQ(lowest.UnixNow(), 1015);
  clock.StepWall(-std::chrono::hours(48));
  EXPECT_EQ(lowest.UnixNow(), 1015);
  EXPECT_EQ(lowest.Age(), seconds(15));
}

TEST(TheLowestWallTime, FollowsTheWallBackAndStaysThere) {
  FakeClock clock(1000);
  LowestWall lowest(clock);
  clock.StepWall(-seconds(300));
  EXPECT_EQ(lowest.UnixNow(), 700);
  clock.StepWall(seconds(300));
  clock.Advance(seconds(1));
  EXPECT_EQ(lowest.UnixNow(), 701);
}

TEST(TheMachinesClock, NeverGoesBackAndIsPast2024) {
  const Clock& clock = SystemClock();
  const BootTime before = clock.BootNow();
  EXPECT_GE(clock.BootNow(), before);
  EXPECT_GT(clock.UnixNow(), 1'704'067'200);
}

}  // namespace
}  // namespace exeat::base
