#include "limits/open_streams.h"

#include <thread>

#include "base/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace exeat::limits {
namespace {

using Leg = OpenStreams::Leg;
constexpr std::chrono::milliseconds kNow{0};

base::SocketId Socket(std::uint64_t cookie) { return {cookie, {}, {}}; }

OpenStream Stream(const std::string& sid) {
  session::Claims claims;
  claims.sid = sid;
  claims.jti = sid + "-token";
  claims.sub = "agent";
  OpenStream stream;
  stream.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
  return stream;
}

Whose Of(const std::string& sid) {
  return [sid](const OpenStream& stream) { return stream.claims->sid == sid; };
}

std::vector<std::uint64_t> Cookies(const OpenStreams::Found& found) {
  std::vector<std::uint64_t> cookies;
  for (const auto& socket : found.sockets) cookies.push_back(socket.cookie);
  return cookies;
}

TEST(OpenStreams, FindsEachSocketOfASessionOnce) {
  OpenStreams streams;
  streams.Connected("10.0.0.1:1", Socket(1), Leg::kExplicit);
  streams.Connected("10.0.0.1:2", Socket(2), Leg::kExplicit);
  EXPECT_TRUE(streams.Begin("10.0.0.1:1", "tunnel", Stream("a")));
  EXPECT_TRUE(streams.Begin("10.0.0.1:1", "request", Stream("a")));
  EXPECT_TRUE(streams.Begin("10.0.0.1:2", "other", Stream("b")));
  const auto found = streams.Find(Of("a"));
  EXPECT_EQ(Cookies(found), std::vector<std::uint64_t>{1});
  EXPECT_EQ(found.streams, 2u);
  EXPECT_EQ(found.unreachable, 0u);
}

TEST(OpenStreams, RefusesAStreamOfAConnectionNobodyKnows) {
  OpenStreams streams;
  EXPECT_FALSE(streams.Begin("10.0.0.1:1", "r", Stream("a")));
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, CountsWhatCannotBeCut) {
  OpenStreams streams;
  streams.BeginUnreachable("r", Stream("a"));
  const auto found = streams.Find(Of("a"));
  EXPECT_TRUE(found.sockets.empty());
  EXPECT_EQ(found.unreachable, 1u);
}

TEST(OpenStreams, ForgetsATunnelsConnectionWithItsLastStream) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "tunnel", Stream("a"));
  streams.Begin("p", "request", Stream("a"));
  streams.End("tunnel");
  EXPECT_EQ(streams.connections(), 1u);
  streams.End("request");
  EXPECT_EQ(streams.connections(), 0u);
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, KeepsATransparentConnectionBetweenItsRequests) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.Begin("p", "first", Stream("a"));
  streams.End("first");
  EXPECT_TRUE(streams.Begin("p", "second", Stream("a")));
}

TEST(OpenStreams, DropsWhatThePortCarriedBeforeWhenItComesAgain) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "before", Stream("a"));
  streams.Connected("p", Socket(2), Leg::kExplicit);
  EXPECT_EQ(streams.streams(), 0u);
  streams.Begin("p", "after", Stream("b"));
  EXPECT_EQ(Cookies(streams.Find(Of("b"))), std::vector<std::uint64_t>{2});
}

TEST(OpenStreams, KeepsStreamsWhenTheSameConnectionIsToldOfAgain) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "first", Stream("a"));
  streams.Connected("p", Socket(1), Leg::kExplicit);
  EXPECT_EQ(streams.Find(Of("a")).streams, 1u);
}

TEST(OpenStreams, EndsAllThatAClosedSocketCarried) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.Connected("q", Socket(2), Leg::kTransparent);
  streams.Begin("p", "one", Stream("a"));
  streams.Begin("p", "two", Stream("b"));
  streams.Begin("q", "three", Stream("a"));
  streams.Closed({1});
  EXPECT_EQ(streams.streams(), 1u);
  EXPECT_EQ(streams.connections(), 1u);
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), std::vector<std::uint64_t>{2});
}

TEST(OpenStreams, SweepsAConnectionOnlyOnceItIsGoneForLong) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "lost", Stream("a"));
  const base::BootTime start = std::chrono::hours(1);
  streams.Sweep({}, start);
  streams.Sweep({}, start + OpenStreams::kLostAfter - std::chrono::nanoseconds(1));
  EXPECT_EQ(streams.streams(), 1u);
  streams.Sweep({1}, start + OpenStreams::kLostAfter);
  streams.Sweep({}, start + OpenStreams::kLostAfter * 2);
  EXPECT_EQ(streams.streams(), 1u) << "it had come back in between";
  streams.Sweep({}, start + OpenStreams::kLostAfter * 3);
  EXPECT_EQ(streams.streams(), 0u);
  EXPECT_EQ(streams.connections(), 0u);
}

TEST(OpenStreams, TellsHowManyAreOpenWhenTimeRunsOut) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "r", Stream("a"));
  const base::FakeClock clock;
  EXPECT_EQ(streams.AwaitNone(Of("a"), kNow, clock), 1u);
  EXPECT_EQ(streams.AwaitNone(Of("b"), kNow, clock), 0u);
}

TEST(OpenStreams, WakesWhoWaitsForTheLastEnd) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kExplicit);
  streams.Begin("p", "r", Stream("a"));
  std::jthread ender([&] { streams.End("r"); });
  EXPECT_EQ(streams.AwaitNone(Of("a"), std::chrono::minutes(1), base::SystemClock()), 0u);
}

TEST(OpenStreams, BeginsNothingThatHasEndedAlready) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.End("gone");
  EXPECT_FALSE(streams.Begin("p", "gone", Stream("a")));
  EXPECT_TRUE(streams.Begin("p", "here", Stream("a")));
  EXPECT_EQ(streams.streams(), 1u);
}

TEST(OpenStreams, RemembersOnlySoManyEarlyEnds) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.End("first");
  for (std::size_t i = 1; i < OpenStreams::kEarlyEnds; ++i) streams.End(std::to_string(i));
  EXPECT_FALSE(streams.Begin("p", "first", Stream("a")));
  for (std::size_t i = 0; i <= 2 * OpenStreams::kEarlyEnds; ++i) {
    streams.End("later " + std::to_string(i));
  }
  EXPECT_TRUE(streams.Begin("p", "first", Stream("a"))) << "two generations later it is forgotten";
}

TEST(OpenStreams, TellsApartIdsInWhateverForm) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  const std::vector<std::string> ids = {"1f8f7d8c-6e3b-4c59-9d0f-0c8a6f6f3b21",
                                        "1f8f7d8c-6e3b-4c59-9d0f-0c8a6f6f3b22",
                                        "1f8f7d8d-6e3b-4c59-9d0f-0c8a6f6f3b21",
                                        "1f8f7d8c-6e3b-4c59-9d0f-0c8a6f6f3bzz",
                                        "1f8f7d8c06e3b-4c59-9d0f-0c8a6f6f3b21",
                                        "1f8f7d8c6e3b4c599d0f0c8a6f6f3b21",
                                        "",
                                        "r"};
  for (const std::string& id : ids) streams.Begin("p", id, Stream("a"));
  EXPECT_EQ(streams.streams(), ids.size());
  streams.Begin("p", ids[0], Stream("b"));
  EXPECT_EQ(streams.streams(), ids.size());
  EXPECT_EQ(streams.Find(Of("b")).streams, 1u);
  for (const std::string& id : ids) streams.End(id);
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, MovesAnIdThatComesAgainElsewhere) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.Connected("q", Socket(2), Leg::kTransparent);
  streams.Begin("p", "one", Stream("a"));
  streams.Begin("p", "two", Stream("a"));
  streams.Begin("q", "one", Stream("a"));
  streams.Closed({1});
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), std::vector<std::uint64_t>{2});
  streams.BeginUnreachable("one", Stream("a"));
  EXPECT_EQ(streams.Find(Of("a")).unreachable, 1u);
  streams.Closed({2});
  EXPECT_EQ(streams.streams(), 1u);
}

TEST(OpenStreams, ForgetsEverythingWhenEnvoyHasEnded) {
  OpenStreams streams;
  streams.Connected("p", Socket(1), Leg::kTransparent);
  streams.Begin("p", "r", Stream("a"));
  streams.BeginUnreachable("u", Stream("a"));
  streams.Clear();
  EXPECT_EQ(streams.streams(), 0u);
  EXPECT_EQ(streams.connections(), 0u);
}

}  // namespace
}  // namespace exeat::limits
