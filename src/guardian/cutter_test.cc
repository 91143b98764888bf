// Connections of a real server in a process of its own, cut by each means that is permitted here.
#include "guardian/cutter.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/cut_means.h"
#include "guardian/cutter_thread.h"
#include "guardian/testing/tcp_server.h"

namespace exeat::guardian {
namespace {

using base::SocketId;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

constexpr int kPatienceMs = 10000;
constexpr std::size_t kMebibyte = std::size_t{1} << 20U;
const std::string kLoopback = "127.0.0.1";

class CutterByEachMeans : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    const std::uint32_t permitted = TryCutMeans(DescriptorTable::Open(first_.pid())).bits;
    if ((permitted & GetParam()) != GetParam()) {
      GTEST_SKIP() << "NOT PERMITTED HERE: cutting by means " << GetParam() << " is not tested";
    }
    thread_ = *CutterThread::Start();
    Serve(first_);
  }
  // What the cutter works on from now on; it waits longer for evidence than Envoy is given, since a
  // server on a busy machine may not run for a second.
  void Serve(const TcpServer& server,
             const CutterOptions& options = {.evidence_within = milliseconds(kPatienceMs / 2)}) {
    thread_->Attach(std::make_unique<Cutter>(*DescriptorTable::Open(server.pid()),
                                             *SocketTable::Open(), GetParam(), options));
    port_ = server.v4_port();
  }
  std::unique_ptr<Guest> Connect(Ask ask = Ask::kEcho) {
    auto guest = std::make_unique<Guest>(kLoopback, port_);
    EXPECT_TRUE(guest->Asks(ask));
    return guest;
  }
  SocketId IdOf(const Guest& guest) { return *guest.Id(table_); }
  // The server's descriptor of it; -1: it has none.
  int NumberOf(const SocketId& id) {
    const auto child = DescriptorTable::Open(first_.pid());
    for (int number = 0; number < *child->Size(); ++number) {
      const auto duplicate = child->Duplicate(number);
      if (duplicate.ok() && SocketCookie(duplicate->get()).value_or(0) == id.cookie) return number;
    }
    return -1;
  }
  void Request(std::vector<SocketId> ids) { thread_->Cut({++batch_, std::move(ids)}); }
  SocketsCut Answer() {
    while (answers_.empty()) {
      pollfd wait{thread_->done_fd(), POLLIN, 0};
      if (poll(&wait, 1, kPatienceMs) != 1) {
        ADD_FAILURE() << "no answer";
        return {};
      }
      for (SocketsCut& one : thread_->TakeDone()) answers_.push_back(std::move(one));
    }
    SocketsCut answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }
  SocketsCut Cut(std::vector<SocketId> ids) {
    Request(std::move(ids));
    SocketsCut answer = Answer();
    EXPECT_EQ(answer.batch, batch_);
    return answer;
  }

  TcpServer first_;
  SocketTable table_ = *SocketTable::Open();
  std::uint16_t port_ = 0;
  std::uint64_t batch_ = 0;
  std::deque<SocketsCut> answers_;
  std::unique_ptr<CutterThread> thread_;
};

INSTANTIATE_TEST_SUITE_P(, CutterByEachMeans,
                         ::testing::Values(kCutsByDescriptor, kCutsByDescriptor | kCutsByDestroy),
                         [](const auto& means) {
                           return means.param == kCutsByDescriptor ? "Descriptor" : "Both";
                         });

TEST_P(CutterByEachMeans, ResetsTheGuestAndSeesThatTheServerClosed) {
  const auto guest = Connect();
  const auto bystander = Connect();
  const SocketId id = IdOf(*guest);
  const SocketsCut answer = Cut({id});
  EXPECT_THAT(answer.closed, ElementsAre(id.cookie));
  EXPECT_THAT(answer.open, IsEmpty());
  EXPECT_TRUE(guest->IsReset());
  EXPECT_TRUE(bystander->IsServed());
  RecordProperty("took_us", std::to_string(answer.took_us));
}

TEST_P(CutterByEachMeans, CutsIpV6AndIpV4OnADualStackListener) {
  if (first_.dual_stack_port() == 0) GTEST_SKIP() << "NO IPv6 HERE: not tested";
  for (const std::string& ip : {std::string("::1"), kLoopback}) {
    Guest guest(ip, first_.dual_stack_port());
    Guest bystander(ip, first_.dual_stack_port());
    ASSERT_TRUE(guest.Asks(Ask::kEcho) && bystander.Asks(Ask::kEcho));
    const SocketId id = IdOf(guest);
    EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie));
    EXPECT_TRUE(guest.IsReset()) << ip;
    EXPECT_TRUE(bystander.IsServed()) << ip;
  }
}

TEST_P(CutterByEachMeans, APausedReaderGetsNothingButItsOwnReceiveBuffer) {
  const auto guest = Connect(Ask::kFlood);
  const std::size_t read = guest->Read(8 * kMebibyte);
  const std::size_t sent = first_.WaitFull();
  const std::size_t own = guest->Readable();
  const std::size_t queued = sent - read - own;
  ASSERT_GT(queued, kMebibyte) << "too little was queued to show anything";
  const SocketId id = IdOf(*guest);
  EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie));
  const Guest::End end = guest->ReadToEnd();
  EXPECT_EQ(end.error_number, ECONNRESET);
  EXPECT_EQ(end.bytes, own);
  RecordProperty("queued_bytes", std::to_string(queued));
  RecordProperty("drained_bytes", std::to_string(end.bytes));
}

TEST_P(CutterByEachMeans, CutsFiveHundredWithOneLookAndHurtsNobodyElse) {
  std::vector<std::unique_ptr<Guest>> guests;
  std::vector<std::unique_ptr<Guest>> bystanders;
  std::vector<SocketId> ids;
  std::vector<std::uint64_t> cookies;
  for (int i = 0; i < 500; ++i) {
    guests.push_back(Connect());
    ids.push_back(IdOf(*guests.back()));
    cookies.push_back(ids.back().cookie);
    if (i % 25 == 0) bystanders.push_back(Connect());
  }
  const SocketsCut answer = Cut(ids);
  EXPECT_THAT(answer.closed, UnorderedElementsAreArray(cookies));
  for (const auto& guest : guests) EXPECT_TRUE(guest->IsReset());
  for (const auto& bystander : bystanders) EXPECT_TRUE(bystander->IsServed());
  RecordProperty("took_us", std::to_string(answer.took_us));
}

TEST_P(CutterByEachMeans, FindsDescriptorsAboveAThousand) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < 2000) GTEST_SKIP() << "FEWER THAN 2000 DESCRIPTORS ALLOWED: not tested";
  const TcpServer full(1500);
  Serve(full);
  const auto guest = Connect();
  const SocketId id = IdOf(*guest);
  const SocketsCut answer = Cut({id});
  EXPECT_THAT(answer.closed, ElementsAre(id.cookie));
  EXPECT_TRUE(guest->IsReset());
  RecordProperty("took_us", std::to_string(answer.took_us));
}

TEST_P(CutterByEachMeans, WhatIsGoneAlreadyCountsAsClosed) {
  const auto guest = Connect();
  const SocketId id = IdOf(*guest);
  EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie));
  EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie)) << "with the descriptor remembered";
  const auto closed = Connect();
  const SocketId by_server = IdOf(*closed);
  EXPECT_TRUE(closed->Asks(Ask::kEcho));
  closed->Reset();
  while (table_.FindSocket(by_server.local, by_server.remote).ok()) {
  }
  EXPECT_THAT(Cut({by_server}).closed, ElementsAre(by_server.cookie));
}

// What a finished response left in the kernel is not Envoy's any more.
TEST_P(CutterByEachMeans, WhatTheServerHasClosedIsClosedWhileTheKernelStillSends) {
  const auto guest = Connect();
  Guest closing(kLoopback, port_);
  const SocketId id = IdOf(closing);
  ASSERT_TRUE(closing.Asks(Ask::kClose));
  while (table_.IsOrphan(id).ok() && !*table_.IsOrphan(id)) {
  }
  EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie));
  EXPECT_TRUE(guest->IsServed());
}

TEST_P(CutterByEachMeans, StaleNamesHurtNobodyWhenDescriptorsAndPortsAreUsedAgain) {
  const auto bystander = Connect();
  (void)Cut({IdOf(*bystander)});  // which leaves every descriptor remembered
  int cut_before = 0;
  int taken = 0;
  for (int round = 0; round < 300; ++round) {
    Guest former(kLoopback, port_);
    ASSERT_TRUE(former.Asks(Ask::kEcho)) << round;
    const SocketId stale = IdOf(former);
    const std::uint16_t source_port = former.source_port();
    if (round % 3 == 0) {
      EXPECT_THAT(Cut({stale}).closed, ElementsAre(stale.cookie));
      ++cut_before;
    }
    former.Reset();
    while (table_.FindSocket(stale.local, stale.remote).ok()) {
    }
    Guest innocent(kLoopback, port_, source_port);
    if (!innocent.connected() && ++taken < 10) continue;  // by another process on this machine
    ASSERT_TRUE(innocent.Asks(Ask::kEcho)) << round;
    const SocketId fresh = IdOf(innocent);
    ASSERT_EQ(fresh.remote, stale.remote) << "the same ends";
    ASSERT_NE(fresh.cookie, stale.cookie);
    EXPECT_THAT(Cut({stale}).closed, ElementsAre(stale.cookie)) << round;
    EXPECT_TRUE(innocent.IsServed()) << round;
    innocent.Reset();
    while (table_.FindSocket(fresh.local, fresh.remote).ok()) {
    }
  }
  EXPECT_EQ(cut_before, 100);
  RecordProperty("ports_taken", taken);
}

TEST_P(CutterByEachMeans, ADescriptorUsedAgainBetweenAbortAndNudgeIsLeftAlone) {
  Cutter cutter(*DescriptorTable::Open(first_.pid()), *SocketTable::Open(), GetParam());
  const auto guest = Connect();
  const SocketId id = IdOf(*guest);
  const int number = NumberOf(id);
  cutter.Begin({{{1, {id}}, {}}}, {});
  EXPECT_TRUE(guest->IsReset());
  while (NumberOf(id) >= 0) {
  }
  const auto innocent = Connect();
  ASSERT_EQ(NumberOf(IdOf(*innocent)), number);
  EXPECT_THAT(cutter.Poll(milliseconds(10)), ElementsAre(SocketsCut{1, {id.cookie}, {}, 10000}));
  EXPECT_TRUE(innocent->IsServed());
}

TEST_P(CutterByEachMeans, ACookieWithAnotherRemoteEndIsNotTouchedAndStaysOpen) {
  Serve(first_, {.evidence_within = milliseconds(20)});
  const auto guest = Connect();
  const auto other = Connect();
  SocketId mixed = IdOf(*guest);
  SocketId unknown = mixed;
  mixed.remote = IdOf(*other).remote;
  unknown.cookie = 0;
  EXPECT_THAT(Cut({mixed}).open, ElementsAre(mixed.cookie));
  EXPECT_THAT(Cut({unknown}).open, ElementsAre(0));
  EXPECT_TRUE(guest->IsServed());
  EXPECT_TRUE(other->IsServed());
}

TEST_P(CutterByEachMeans, AnAbortedSocketThatTheServerKeepsIsOpen) {
  Cutter cutter(*DescriptorTable::Open(first_.pid()), *SocketTable::Open(), GetParam());
  const auto deaf = Connect(Ask::kDeaf);
  const auto guest = Connect();
  const SocketId kept = IdOf(*deaf);
  const SocketId let_go = IdOf(*guest);
  cutter.Begin({{{1, {kept, let_go}}, {}}}, {});
  EXPECT_TRUE(deaf->IsReset() && guest->IsReset());
  while (NumberOf(let_go) >= 0) {
  }
  EXPECT_THAT(cutter.Poll(milliseconds(999)), IsEmpty());
  EXPECT_THAT(cutter.Poll(milliseconds(1000)),
              ElementsAre(SocketsCut{1, {let_go.cookie}, {kept.cookie}, 1000000}));
  EXPECT_TRUE(cutter.idle());
  Serve(first_, {.evidence_within = milliseconds(20)});
  EXPECT_THAT(Cut({kept}).open, ElementsAre(kept.cookie)) << "and no later either";
}

TEST_P(CutterByEachMeans, AServerThatOnlyWaitsForTheEndOfReadingIsWoken) {
  const auto guest = Connect(Ask::kHalfClosed);
  const SocketId id = IdOf(*guest);
  EXPECT_THAT(Cut({id}).closed, ElementsAre(id.cookie));
}

TEST_P(CutterByEachMeans, AStoppedServerIsAbortedAtOnceAndOpenUntilItGoesOn) {
  Serve(first_, {.evidence_within = milliseconds(20)});
  const auto guest = Connect();
  const SocketId id = IdOf(*guest);
  first_.Signal(SIGSTOP);
  EXPECT_THAT(Cut({id}).open, ElementsAre(id.cookie));
  EXPECT_TRUE(guest->IsReset());
  Serve(first_);
  Request({id});
  first_.Signal(SIGCONT);
  EXPECT_THAT(Answer().closed, ElementsAre(id.cookie));
}

TEST_P(CutterByEachMeans, WhatNobodyHasTakenUpYetIsNotClosed) {
  if (GetParam() != kCutsByDescriptor) GTEST_SKIP() << "destroyed before anyone takes it up";
  Serve(first_, {.evidence_within = milliseconds(20)});
  first_.Signal(SIGSTOP);
  const Guest waiting(kLoopback, port_);
  ASSERT_TRUE(waiting.connected());
  const SocketId id = IdOf(waiting);
  EXPECT_THAT(Cut({id}).open, ElementsAre(id.cookie));
  first_.Signal(SIGCONT);
}

TEST_P(CutterByEachMeans, TheServersEndClosesWhatWasOpen) {
  Serve(first_, {.evidence_within = std::chrono::hours(1)});
  const auto deaf = Connect(Ask::kDeaf);
  const SocketId kept = IdOf(*deaf);
  Request({kept});
  EXPECT_TRUE(deaf->IsReset());
  first_.Stop();
  EXPECT_THAT(Answer().closed, ElementsAre(kept.cookie));
}

TEST_P(CutterByEachMeans, BatchesWaitForTheirOwnSocketsOnly) {
  Serve(first_, {.evidence_within = std::chrono::hours(1)});
  const auto deaf = Connect(Ask::kDeaf);
  const auto guest = Connect();
  const SocketId kept = IdOf(*deaf);
  const SocketId let_go = IdOf(*guest);
  Request({kept});
  EXPECT_TRUE(deaf->IsReset());
  const SocketsCut second = Cut({let_go, let_go});
  EXPECT_THAT(second.closed, ElementsAre(let_go.cookie, let_go.cookie));
  EXPECT_THAT(Cut({}).closed, IsEmpty());
  const TcpServer next;
  first_.Stop();
  Serve(next);
  const SocketsCut first = Answer();
  EXPECT_EQ(first.batch, 1U);
  EXPECT_THAT(first.closed, ElementsAre(kept.cookie)) << "its server has ended";
}

TEST_P(CutterByEachMeans, WhatWasForgottenIsNeverAnswered) {
  Serve(first_, {.evidence_within = milliseconds(20)});
  const auto deaf = Connect(Ask::kDeaf);
  Request({IdOf(*deaf)});
  EXPECT_TRUE(deaf->IsReset());
  thread_->Forget();
  const auto guest = Connect(Ask::kDeaf);
  const SocketId id = IdOf(*guest);
  const SocketsCut next = Cut({id});
  EXPECT_THAT(next.open, ElementsAre(id.cookie));
  EXPECT_THAT(answers_, IsEmpty());
}

TEST(CutterWithoutDescriptors, AbortsButCanShowNothing) {
  const TcpServer server;
  if ((TryCutMeans(DescriptorTable::Open(server.pid())).bits & kCutsByDestroy) == 0) {
    GTEST_SKIP() << "NO CAP_NET_ADMIN: SOCK_DESTROY is not tested";
  }
  SocketTable table = *SocketTable::Open();
  Cutter cutter(std::nullopt, *SocketTable::Open(), kCutsByDestroy);
  Guest guest(kLoopback, server.v4_port());
  ASSERT_TRUE(guest.Asks(Ask::kEcho));
  const SocketId id = *guest.Id(table);
  cutter.Begin({{{7, {id}}, {}}}, {});
  const auto answers = cutter.Poll({});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].batch, 7U);
  EXPECT_THAT(answers[0].open, ElementsAre(id.cookie));
  EXPECT_TRUE(guest.IsReset());
}

TEST(CutterThreadAlone, ReportsAllOpenWhileThereIsNoEnvoy) {
  const auto thread = *CutterThread::Start();
  SocketId id;
  id.cookie = 5;
  thread->Cut({3, {id}});
  pollfd wait{thread->done_fd(), POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, kPatienceMs), 1);
  EXPECT_THAT(thread->TakeDone(), ElementsAre(SocketsCut{3, {}, {5}, 0}));
}

}  // namespace
}  // namespace exeat::guardian
