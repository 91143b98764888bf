#include "resolver/name_state.h"

#include <string_view>

#include "base/testing/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::resolver {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

policy::IpAddress Ip(std::string_view text) { return policy::IpAddress::Parse(text).value(); }

Answer Found(std::vector<policy::IpAddress> addresses, seconds ttl) {
  return {Answer::Outcome::kAddresses, std::move(addresses), ttl};
}
Answer Absent() { return {Answer::Outcome::kAbsent, {}, {}}; }
Answer Failed() { return {}; }

class NameStateTest : public ::testing::Test {
 protected:
  base::BootTime Now() const { return clock_.BootNow(); }
  void Take(const Answer& answer) {
    state_.Begin();
    state_.Take(answer, Now());
  }
  // How long from now until the name is due, found by asking.
  seconds DueIn() const {
    for (seconds wait(0); wait < seconds(1000); ++wait) {
      if (state_.IsDue(Now() + wait)) return wait;
    }
    return seconds::max();
  }

  base::FakeClock clock_;
  NameState state_;
};

TEST_F(NameStateTest, IsDueAtOnceAndKnowsNothing) {
  EXPECT_TRUE(state_.IsDue(Now()));
  EXPECT_FALSE(state_.addresses().has_value());
}

TEST_F(NameStateTest, IsNotDueWhileALookupIsUnderWay) {
  state_.Begin();
  EXPECT_FALSE(state_.IsDue(Now() + seconds(1000)));
  EXPECT_EQ(state_.NextMoment(), base::BootTime::max());
}

TEST_F(NameStateTest, IsDueAtOnceAfterAnAbandonedLookup) {
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  clock_.Advance(seconds(60));
  state_.Begin();
  state_.Abandon();
  EXPECT_TRUE(state_.IsDue(Now()));
  EXPECT_THAT(*state_.addresses(), ElementsAre(Ip("8.8.8.8")));
}

TEST_F(NameStateTest, SortsAddressesAndDropsDoubles) {
  Take(Found({Ip("9.9.9.9"), Ip("8.8.8.8"), Ip("9.9.9.9")}, seconds(60)));
  EXPECT_THAT(*state_.addresses(), ElementsAre(Ip("8.8.8.8"), Ip("9.9.9.9")));
}

TEST_F(NameStateTest, HonoursTtlsBetweenTheirBounds) {
  for (const auto& [ttl, due] : {std::pair(0, 5), {5, 5}, {60, 60}, {300, 300}, {86400, 300}}) {
    Take(Found({Ip("8.8.8.8")}, seconds(ttl)));
    EXPECT_EQ(DueIn(), seconds(due)) << ttl;
  }
}

TEST_F(NameStateTest, IsDueAtTheVeryEndOfTheTtl) {
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  EXPECT_FALSE(state_.IsDue(Now() + seconds(60) - nanoseconds(1)));
  EXPECT_TRUE(state_.IsDue(Now() + seconds(60)));
  EXPECT_EQ(state_.NextMoment(), Now() + seconds(60));
}

TEST_F(NameStateTest, KeepsAStaleAnswerFor60SecondsOfFailure) {
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  clock_.Advance(seconds(60));
  Take(Failed());
  clock_.Advance(seconds(60) - nanoseconds(1));
  Take(Failed());
  EXPECT_FALSE(state_.Expire(Now()));
  EXPECT_THAT(*state_.addresses(), ElementsAre(Ip("8.8.8.8")));
  clock_.Advance(nanoseconds(1));
  EXPECT_TRUE(state_.Expire(Now()));
  EXPECT_THAT(*state_.addresses(), IsEmpty());
  EXPECT_FALSE(state_.Expire(Now()));
}

TEST_F(NameStateTest, LetsGoOfAStaleAnswerAlsoWhileALookupHangs) {
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  clock_.Advance(seconds(60));
  state_.Begin();
  EXPECT_EQ(state_.NextMoment(), Now() + kServeStale);
  clock_.Advance(kServeStale);
  EXPECT_TRUE(state_.Expire(Now()));
}

TEST_F(NameStateTest, ForgetsAddressesAtOnceWhenTheNameIsGone) {
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  Take(Absent());
  EXPECT_THAT(*state_.addresses(), IsEmpty());
  EXPECT_EQ(DueIn(), kAskAbsentAgain);
}

TEST_F(NameStateTest, IsKnownToHaveNoAddressAfterAFirstFailure) {
  Take(Failed());
  ASSERT_TRUE(state_.addresses().has_value());
  EXPECT_THAT(*state_.addresses(), IsEmpty());
}

TEST_F(NameStateTest, WaitsLongerAfterEachFailureUpTo30Seconds) {
  for (const int expected : {1, 2, 4, 8, 16, 30, 30, 30}) {
    Take(Failed());
    EXPECT_EQ(DueIn(), seconds(expected));
  }
  Take(Found({Ip("8.8.8.8")}, seconds(60)));
  Take(Failed());
  EXPECT_EQ(DueIn(), seconds(1));
}

}  // namespace
}  // namespace exeat::resolver
