#include "guardian/socket_table.h"

#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::SocketEnd;
using base::SocketId;
using base::StatusCode;
using base::StatusIs;
using base::UniqueFd;

constexpr std::size_t kNoAddress = 0;

// A listener of this process and one accepted connection.
class Pair {
 public:
  enum class Kind { kV4, kV6, kV4OnDualStack };

  explicit Pair(Kind kind) {
    const bool v4_listens = kind == Kind::kV4;
    listener_.Reset(socket(v4_listens ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    const int off = 0;
    setsockopt(listener_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    const auto* bound = v4_listens ? reinterpret_cast<const sockaddr*>(&v4)
                                   : reinterpret_cast<const sockaddr*>(&v6);
    const socklen_t size = v4_listens ? sizeof(v4) : sizeof(v6);
    if (bind(listener_.get(), bound, size) != 0 || listen(listener_.get(), 8) != 0) return;
    port_ = LocalEnd(listener_.get())->port;
    v4.sin_port = htons(port_);
    v6.sin6_port = htons(port_);
    v6.sin6_addr = in6addr_loopback;
    const bool v6_connects = kind == Kind::kV6;
    guest_.Reset(socket(v6_connects ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* to = v6_connects ? reinterpret_cast<const sockaddr*>(&v6)
                                 : reinterpret_cast<const sockaddr*>(&v4);
    if (connect(guest_.get(), to, v6_connects ? sizeof(v6) : sizeof(v4)) != 0) return;
    served_.Reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  bool there() const { return served_.valid(); }
  std::uint16_t port() const { return port_; }
  int guest() const { return guest_.get(); }
  int served() const { return served_.get(); }
  // As the guest names them, so that the table's own reading is not tested against itself.
  SocketEnd local() const { return *RemoteEnd(guest_.get()); }
  SocketEnd remote() const { return *LocalEnd(guest_.get()); }
  void CloseServedFirst() {
    served_.Reset();
    guest_.Reset();
  }
  void CloseServed() { served_.Reset(); }

 private:
  UniqueFd listener_;
  UniqueFd guest_;
  UniqueFd served_;
  std::uint16_t port_ = kNoAddress;
};

class TableOfEachKind : public ::testing::TestWithParam<Pair::Kind> {
 protected:
  TableOfEachKind() : table_(*SocketTable::Open()), pair_(GetParam()) {}
  void SetUp() override {
    if (!pair_.there()) GTEST_SKIP() << "NO IPv6 HERE: not tested";
  }
  SocketTable table_;
  Pair pair_;
};

INSTANTIATE_TEST_SUITE_P(, TableOfEachKind,
                         ::testing::Values(Pair::Kind::kV4, Pair::Kind::kV6,
                                           Pair::Kind::kV4OnDualStack),
                         [](const auto& kind) {
                           switch (kind.param) {
                             case Pair::Kind::kV4:
                               return "V4";
                             case Pair::Kind::kV6:
                               return "V6";
                             default:
                               return "V4OnDualStack";
                           }
                         });

TEST_P(TableOfEachKind, FindsAConnectionByItsEndsAndNamesItsCookie) {
  const auto found = table_.FindSocket(pair_.local(), pair_.remote());
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->cookie, *SocketCookie(pair_.served()));
  EXPECT_NE(found->cookie, *SocketCookie(pair_.guest()));
  EXPECT_EQ(found->local, pair_.local());
  EXPECT_EQ(found->remote, pair_.remote());
  EXPECT_EQ(found->local, *LocalEnd(pair_.served()));
  EXPECT_EQ(found->remote, *RemoteEnd(pair_.served()));
  EXPECT_EQ(found->local.is_v4, GetParam() != Pair::Kind::kV6);
}

TEST_P(TableOfEachKind, FindsTheOtherSocketFromTheOtherSide) {
  const auto found = table_.FindSocket(pair_.remote(), pair_.local());
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->cookie, *SocketCookie(pair_.guest()));
}

TEST_P(TableOfEachKind, AListenerIsNoConnection) {
  SocketEnd stranger = pair_.remote();
  stranger.port = 1;
  EXPECT_THAT(table_.FindSocket(pair_.local(), stranger), StatusIs(StatusCode::kNotFound));
}

TEST_P(TableOfEachKind, ListsWhatIsOpenAndNotWhatIsClosed) {
  const std::uint64_t served = *SocketCookie(pair_.served());
  const std::uint64_t guest = *SocketCookie(pair_.guest());
  auto listed = table_.ListSockets();
  ASSERT_THAT(listed, IsOk());
  EXPECT_TRUE(listed->contains(served));
  EXPECT_TRUE(listed->contains(guest));
  const SocketEnd local = pair_.local();
  const SocketEnd remote = pair_.remote();
  pair_.CloseServedFirst();  // which leaves it in TIME_WAIT
  EXPECT_THAT(table_.FindSocket(local, remote), StatusIs(StatusCode::kNotFound));
  listed = table_.ListSockets();
  ASSERT_THAT(listed, IsOk());
  EXPECT_FALSE(listed->contains(served));
  EXPECT_FALSE(listed->contains(guest));
}

TEST_P(TableOfEachKind, AnOrphanIsWhatItsOwnerClosedAndTheKernelStillSends) {
  const auto id = table_.FindSocket(pair_.local(), pair_.remote());
  ASSERT_THAT(id, IsOk());
  EXPECT_FALSE(*table_.IsOrphan(*id));
  pair_.CloseServed();  // the guest has not closed: FIN_WAIT
  EXPECT_TRUE(*table_.IsOrphan(*id));
  SocketId other = *id;
  ++other.cookie;
  EXPECT_THAT(table_.IsOrphan(other), StatusIs(StatusCode::kNotFound));
}

TEST_P(TableOfEachKind, WhatTheOtherSideCouldStillDrawIsNoOrphan) {
  const auto id = table_.FindSocket(pair_.local(), pair_.remote());
  ASSERT_THAT(id, IsOk());
  const std::vector<char> block(1 << 16);
  while (send(pair_.served(), block.data(), block.size(), MSG_DONTWAIT) > 0) {
  }
  pair_.CloseServed();
  EXPECT_FALSE(*table_.IsOrphan(*id));
  std::vector<char> read(1 << 16);
  while (recv(pair_.guest(), read.data(), read.size(), 0) > 0) {
  }
  while (table_.IsOrphan(*id).ok() && !*table_.IsOrphan(*id)) {
  }
}

TEST_P(TableOfEachKind, DestroysTheVerySocketOnlyAndResetsTheGuest) {
  const auto id = table_.FindSocket(pair_.local(), pair_.remote());
  ASSERT_THAT(id, IsOk());
  SocketId stale = *id;
  ++stale.cookie;
  EXPECT_THAT(table_.Destroy(stale), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(table_.Destroy(SocketId{0, id->local, id->remote}), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(RemoteEnd(pair_.served()), IsOk()) << "an innocent connection was hurt";
  const auto destroyed = table_.Destroy(*id);
  if (destroyed.code() == StatusCode::kPermissionDenied) {
    GTEST_SKIP() << "NO CAP_NET_ADMIN: SOCK_DESTROY is not tested";
  }
  ASSERT_THAT(destroyed, IsOk());
  char byte = 0;
  EXPECT_EQ(recv(pair_.guest(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_THAT(table_.Destroy(*id), StatusIs(StatusCode::kNotFound));
}

TEST(SocketTableQuestions, EndsOfTwoFamiliesAreNoConnection) {
  SocketTable table = *SocketTable::Open();
  SocketEnd v6;
  v6.is_v4 = false;
  EXPECT_THAT(table.FindSocket(SocketEnd{}, v6), StatusIs(StatusCode::kNotFound));
}

TEST(SocketTableQuestions, AnsweredOneAfterTheOtherOnOneSocket) {
  SocketTable table = *SocketTable::Open();
  const Pair pair(Pair::Kind::kV4);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(table.FindSocket(pair.local(), pair.remote()), IsOk());
    ASSERT_THAT(table.FindSocket(pair.local(), pair.local()), StatusIs(StatusCode::kNotFound));
  }
  ASSERT_THAT(table.ListSockets(), IsOk());
}

}  // namespace
}  // namespace exeat::guardian
