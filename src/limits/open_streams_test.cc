#include "limits/open_streams.h"

#include <algorithm>
#include <thread>

#include "base/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace exeat::limits {
namespace {

constexpr std::chrono::milliseconds kNow{0};

base::SocketId Socket(std::uint64_t cookie) { return {cookie, {}, {}}; }

OpenStream Stream(const std::string& sid, const std::string& jti = {}, base::UnixSeconds exp = 0) {
  session::Claims claims;
  claims.sid = sid;
  claims.jti = jti.empty() ? sid + "-token" : jti;
  claims.sub = "agent";
  claims.exp = exp;
  OpenStream stream;
  stream.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
  return stream;
}

OpenStream To(const std::string& host, OpenStream stream) {
  policy::Destination destination;
  destination.host = host;
  stream.destination = std::make_shared<const policy::Destination>(std::move(destination));
  return stream;
}

Whose Of(const std::string& sid) {
  return [sid](const OpenStream& stream) { return stream.claims->sid == sid; };
}

Whose At(const std::string& host) {
  return [host](const OpenStream& stream) {
    return stream.destination == nullptr || stream.destination->host == host;
  };
}

std::vector<std::uint64_t> Cookies(const OpenStreams::Found& found) {
  std::vector<std::uint64_t> cookies;
  for (const auto& socket : found.sockets) cookies.push_back(socket.cookie);
  return cookies;
}

using Some = std::vector<std::uint64_t>;

TEST(OpenStreams, FindsEachSocketOfASessionOnce) {
  OpenStreams streams;
  streams.Connected("10.0.0.1:1", Socket(1));
  streams.Connected("10.0.0.1:2", Socket(2));
  EXPECT_EQ(streams.Begin("10.0.0.1:1", "tunnel", Stream("a")), Begun::kOpen);
  EXPECT_EQ(streams.Begin("10.0.0.1:1", "request", Stream("a")), Begun::kOpen);
  EXPECT_EQ(streams.Begin("10.0.0.1:2", "other", Stream("b")), Begun::kOpen);
  const auto found = streams.Find(Of("a"));
  EXPECT_EQ(Cookies(found), Some{1});
  EXPECT_EQ(found.streams, 2u);
  EXPECT_EQ(found.idle, 0u);
  EXPECT_EQ(found.unreachable, 0u);
}

TEST(OpenStreams, RefusesAStreamOfAConnectionNobodyKnows) {
  OpenStreams streams;
  EXPECT_EQ(streams.Begin("10.0.0.1:1", "r", Stream("a")), Begun::kUnknownConnection);
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, BeginsNothingUnderANameThatCannotBeSeenUntilItIs) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "before", Stream("a"));
  streams.Refuse("p");
  EXPECT_EQ(streams.Begin("p", "r", Stream("a")), Begun::kUnknownConnection);
  EXPECT_EQ(streams.Find(Of("a")).streams, 1u) << "what was open stays";
  streams.Connected("p", Socket(1));
  EXPECT_EQ(streams.Begin("p", "r", Stream("a")), Begun::kOpen);
}

TEST(OpenStreams, RemembersNoEndOfWhatMayNeverBegin) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.EndIfOpen("r");
  EXPECT_EQ(streams.Begin("p", "r", Stream("a")), Begun::kOpen);
  streams.EndIfOpen("r");
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, CountsWhatCannotBeCut) {
  OpenStreams streams;
  streams.BeginUnreachable("r", Stream("a"));
  const auto found = streams.Find(Of("a"));
  EXPECT_TRUE(found.sockets.empty());
  EXPECT_EQ(found.unreachable, 1u);
  EXPECT_EQ(found.left(), 1u);
}

TEST(OpenStreams, MeansAConnectionForWhatItCarriedLast) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "tunnel", Stream("a"));
  streams.Begin("p", "request", Stream("b"));
  streams.End("tunnel");
  streams.End("request");
  EXPECT_EQ(streams.streams(), 0u);
  for (const char* sid : {"a", "b"}) {
    const auto found = streams.Find(Of(sid));
    EXPECT_EQ(Cookies(found), Some{1}) << sid;
    EXPECT_EQ(found.streams, 0u);
    EXPECT_EQ(found.idle, 1u);
  }
  EXPECT_EQ(streams.Find(Of("c")).left(), 0u);
}

TEST(OpenStreams, RemembersWhereToAndThenOnlyForWhomAndThenNothingAtAll) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  const auto carry = [&](const OpenStream& stream) {
    EXPECT_EQ(streams.Begin("p", "r", stream), Begun::kOpen);
    streams.End("r");
  };
  for (std::size_t i = 0; i < OpenStreams::kCarried; ++i) {
    carry(To("host" + std::to_string(i), Stream("a")));
  }
  carry(To("host0", Stream("a")));
  EXPECT_EQ(streams.Find(At("host0")).idle, 1u);
  EXPECT_EQ(streams.Find(At("other")).idle, 0u);
  carry(To("one more", Stream("a")));
  EXPECT_EQ(streams.Find(At("other")).idle, 1u) << "it may have been anywhere";
  EXPECT_EQ(streams.Find(Of("b")).idle, 0u);
  for (std::size_t i = 1; i < OpenStreams::kCarried; ++i) carry(Stream("s" + std::to_string(i)));
  EXPECT_EQ(streams.Find(Of("b")).idle, 0u);
  carry(Stream("the seventeenth"));
  EXPECT_EQ(streams.Find(Of("b")).idle, 1u) << "it may have been anybody";
}

TEST(OpenStreams, RemembersTheSameUnderANewPolicyOnce) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  for (std::size_t i = 0; i <= OpenStreams::kCarried; ++i) {
    streams.Begin("p", "r", To("host", Stream("a")));
    streams.End("r");
  }
  EXPECT_EQ(streams.Find(At("other")).idle, 0u);
}

TEST(OpenStreams, OnOnePortOfAGuestAreFoundByEachOfItsSockets) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "first", Stream("a"));
  streams.Connected("p", Socket(2));  // dialled another address of the edge
  streams.Begin("p", "second", Stream("b"));
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), (Some{1, 2}));
  EXPECT_EQ(Cookies(streams.Find(Of("b"))), (Some{1, 2}));
  ASSERT_EQ(streams.SocketsOf("p").size(), 2u);
  streams.Closed({1});
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), Some{2});
  streams.Closed({2});
  EXPECT_EQ(streams.streams(), 0u);
  EXPECT_EQ(streams.connections(), 0u);
  EXPECT_TRUE(streams.SocketsOf("p").empty());
}

TEST(OpenStreams, KeepsStreamsWhenTheSameConnectionIsToldOfAgain) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "first", Stream("a"));
  streams.Connected("p", Socket(1));
  EXPECT_EQ(streams.Find(Of("a")).streams, 1u);
  EXPECT_EQ(streams.SocketsOf("p").size(), 1u);
}

TEST(OpenStreams, HoldsNoMoreThanSoManyOnAConnection) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Connected("q", Socket(2));
  for (std::size_t i = 0; i < OpenStreams::kMaxPerConnection; ++i) {
    ASSERT_EQ(streams.Begin("p", std::to_string(i), Stream("a")), Begun::kOpen);
  }
  EXPECT_EQ(streams.Begin("p", "more", Stream("a")), Begun::kTooMany);
  EXPECT_EQ(streams.streams(), OpenStreams::kMaxPerConnection);
  EXPECT_EQ(streams.Begin("q", "more", Stream("a")), Begun::kOpen);
  streams.End("0");
  EXPECT_EQ(streams.Begin("p", "again", Stream("a")), Begun::kOpen);
}

TEST(OpenStreams, EndsAllThatAClosedSocketCarried) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Connected("q", Socket(2));
  streams.Begin("p", "one", Stream("a"));
  streams.Begin("p", "two", Stream("b"));
  streams.Begin("q", "three", Stream("a"));
  streams.Closed({1, 1, 7});
  EXPECT_EQ(streams.streams(), 1u);
  EXPECT_EQ(streams.connections(), 1u);
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), Some{2});
}

TEST(OpenStreams, FindsTheExpiredByTheirTokensEnd) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Connected("q", Socket(2));
  streams.Begin("p", "open", Stream("a", "1", 100));
  streams.Begin("q", "over", Stream("b", "2", 101));
  streams.End("over");
  EXPECT_EQ(streams.FindExpired(99).left(), 0u);
  EXPECT_EQ(Cookies(streams.FindExpired(100)), Some{1});
  const auto both = streams.FindExpired(101);
  EXPECT_EQ(both.sockets.size(), 2u);
  EXPECT_EQ(both.streams, 1u);
  EXPECT_EQ(both.idle, 1u);
  EXPECT_EQ(streams.FindExpired(101).left(), 2u) << "until it is gone";
  streams.Closed({1});
  EXPECT_EQ(Cookies(streams.FindExpired(101)), Some{2});
}

TEST(OpenStreams, FindsWhatBeginsAfterALookThatFoundNothing) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "late", Stream("a", "1", 900));
  EXPECT_EQ(streams.FindExpired(100).left(), 0u);
  streams.Begin("p", "soon", Stream("b", "2", 200));
  EXPECT_EQ(streams.FindExpired(300).streams, 1u);
}

TEST(OpenStreams, OfARenewedSessionThatHaveEndedDoNotExpire) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "first", Stream("a", "1", 100));
  streams.Begin("p", "second", Stream("a", "2", 200));
  EXPECT_EQ(streams.FindExpired(100).streams, 1u) << "it is open";
  streams.End("first");
  EXPECT_EQ(streams.FindExpired(100).left(), 0u);
  EXPECT_EQ(streams.FindExpired(200).streams, 1u);
}

TEST(OpenStreams, OfAnotherSessionDoNotProlongWhatExpires) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "first", Stream("a", "1", 100));
  streams.Begin("p", "second", Stream("b", "2", 200));
  streams.End("first");
  EXPECT_EQ(Cookies(streams.FindExpired(100)), Some{1});
}

const base::BootTime kStart = std::chrono::hours(1);

TEST(OpenStreams, ForgetsAGoneConnectionAtOnceUnlessAStreamIsOpen) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Connected("q", Socket(2));
  streams.Begin("p", "lost", Stream("a"));
  streams.Begin("q", "ended", Stream("a"));
  streams.End("ended");
  streams.Gone({1, 2, 7}, kStart);
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), Some{1});
  streams.Gone({1}, kStart + OpenStreams::kLostAfter - std::chrono::nanoseconds(1));
  EXPECT_EQ(streams.streams(), 1u);
  streams.Gone({1}, kStart + OpenStreams::kLostAfter);
  EXPECT_EQ(streams.streams(), 0u);
  EXPECT_EQ(streams.connections(), 0u);
}

TEST(OpenStreams, SweepsOnlyWhatIsGoneWhenAskedForByItself) {
  OpenStreams streams;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    streams.Connected(std::to_string(i), Socket(i));
    streams.Begin(std::to_string(i), std::to_string(i), Stream("a"));
    streams.End(std::to_string(i));
  }
  Some asked;
  const auto exists = [&](const base::SocketId& socket) {
    asked.push_back(socket.cookie);
    EXPECT_EQ(streams.streams(), 0u) << "the lock is free";
    return socket.cookie == 2;
  };
  streams.Sweep({1}, exists, kStart);
  std::sort(asked.begin(), asked.end());
  EXPECT_EQ(asked, (Some{2, 3}));
  EXPECT_EQ(streams.connections(), 2u) << "the list had missed the second";
}

TEST(OpenStreams, WaitsNoLongerThanItMay) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "r", Stream("a"));
  const base::FakeClock clock;
  streams.AwaitGone(streams.Find(Of("a")), kNow, clock);
  EXPECT_EQ(streams.Find(Of("a")).left(), 1u);
  streams.AwaitGone(streams.Find(Of("b")), std::chrono::minutes(1), clock);
}

TEST(OpenStreams, WakesWhoWaitsForTheLastSocketAndNotBefore) {
  OpenStreams streams;
  for (std::uint64_t i = 1; i <= 2; ++i) {
    streams.Connected(std::to_string(i), Socket(i));
    streams.Begin(std::to_string(i), std::to_string(i), Stream("a"));
  }
  const auto found = streams.Find(Of("a"));
  std::jthread ender([&] {
    streams.End("1");  // its socket may still hold the answer
    streams.End("2");
    streams.Closed({1});
    streams.Gone({2}, kStart);
  });
  streams.AwaitGone(found, std::chrono::minutes(1), base::SystemClock());
  EXPECT_EQ(streams.connections(), 0u);
}

TEST(OpenStreams, BeginsNothingUnreachableThatHasEndedAlready) {
  OpenStreams streams;
  streams.End("r");
  EXPECT_EQ(streams.BeginUnreachable("r", Stream("a")), Begun::kEndedAlready);
  EXPECT_EQ(streams.streams(), 0u);
}

TEST(OpenStreams, ForgetsWhatIsUnreachableOnceItsOwnEndIsLongOver) {
  OpenStreams streams;
  OpenStream bounded = Stream("a");
  bounded.over_by = base::BootTime(std::chrono::seconds(100));
  EXPECT_EQ(streams.BeginUnreachable("bounded", bounded), Begun::kOpen);
  EXPECT_EQ(streams.BeginUnreachable("endless", Stream("a")), Begun::kOpen);
  const base::BootTime lost = bounded.over_by + OpenStreams::kLostAfter;
  streams.ForgetOverdue(lost - std::chrono::milliseconds(1));
  EXPECT_EQ(streams.Find(Of("a")).unreachable, 2u);
  streams.ForgetOverdue(lost);
  EXPECT_EQ(streams.Find(Of("a")).unreachable, 1u) << "no end of the other is known";
}

TEST(OpenStreams, WakesWhoWaitsForAnUnreachableOne) {
  OpenStreams streams;
  streams.BeginUnreachable("r", Stream("a"));
  const auto found = streams.Find(Of("a"));
  std::jthread ender([&] { streams.End("r"); });
  while (streams.Find(Of("a")).left() > 0) {
    streams.AwaitGone(found, std::chrono::milliseconds(50), base::SystemClock());
  }
}

TEST(OpenStreams, WakesWhoWaitsWhenEnvoyHasEnded) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "r", Stream("a"));
  const auto found = streams.Find(Of("a"));
  std::jthread ender([&] { streams.Clear(); });
  streams.AwaitGone(found, std::chrono::minutes(1), base::SystemClock());
  EXPECT_EQ(streams.connections(), 0u);
}

TEST(OpenStreams, BeginsNothingThatHasEndedAlready) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.End("gone");
  EXPECT_EQ(streams.Begin("p", "gone", Stream("a")), Begun::kEndedAlready);
  EXPECT_EQ(streams.Begin("p", "here", Stream("a")), Begun::kOpen);
  EXPECT_EQ(streams.streams(), 1u);
}

TEST(OpenStreams, RemembersOnlySoManyEarlyEnds) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.End("first");
  for (std::size_t i = 1; i < OpenStreams::kEarlyEnds; ++i) streams.End(std::to_string(i));
  EXPECT_EQ(streams.Begin("p", "first", Stream("a")), Begun::kEndedAlready);
  for (std::size_t i = 0; i <= 2 * OpenStreams::kEarlyEnds; ++i) {
    streams.End("later " + std::to_string(i));
  }
  EXPECT_EQ(streams.Begin("p", "first", Stream("a")), Begun::kOpen)
      << "two generations later it is forgotten";
}

TEST(OpenStreams, TellsApartIdsInWhateverForm) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
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
  streams.Connected("p", Socket(1));
  streams.Connected("q", Socket(2));
  streams.Begin("p", "one", Stream("a"));
  streams.Begin("p", "two", Stream("a"));
  streams.Begin("q", "one", Stream("a"));
  streams.Closed({1});
  EXPECT_EQ(Cookies(streams.Find(Of("a"))), Some{2});
  streams.BeginUnreachable("one", Stream("a"));
  EXPECT_EQ(streams.Find(Of("a")).unreachable, 1u);
  streams.Closed({2});
  EXPECT_EQ(streams.streams(), 1u);
}

TEST(OpenStreams, ForgetsEverythingWhenEnvoyHasEnded) {
  OpenStreams streams;
  streams.Connected("p", Socket(1));
  streams.Begin("p", "r", Stream("a"));
  streams.BeginUnreachable("u", Stream("a"));
  streams.Clear();
  EXPECT_EQ(streams.streams(), 0u);
  EXPECT_EQ(streams.connections(), 0u);
}

}  // namespace
}  // namespace exeat::limits
