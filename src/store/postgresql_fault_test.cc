#include <signal.h>
#include <unistd.h>

#include <array>
#include <future>
#include <map>
#include <thread>
#include <vector>

#include "store/testing/postgres_fixture.h"

namespace exeat::store {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using std::chrono::milliseconds;

class PostgresqlFaults : public PostgresFixture {
 protected:
  // Until the server is there again, and no longer than a minute.
  static base::Status PutUntilItWorks(Store& store, const RevocationRow& row) {
    const base::BootTime deadline = base::SystemClock().BootNow() + std::chrono::minutes(1);
    while (true) {
      const base::Status put = store.PutRevocation(row);
      if (put.ok() || base::SystemClock().BootNow() > deadline) return put;
      EXPECT_THAT(put, StatusIs(StatusCode::kUnavailable));
    }
  }
};

TEST_F(PostgresqlFaults, AServerKilledInTheMiddleOfARevokeIsUnavailableAndThenWorksAgain) {
  auto store = Open();
  ASSERT_THAT(store->PutRevocation(Row("before")), IsOk());
  BeforeEachRevocation("PERFORM pg_sleep(60);");
  auto revoke = std::async(std::launch::async, [&] { return store->PutRevocation(Row("cut")); });
  AwaitWaiting("Timeout");  // pg_sleep
  server_.Kill();
  EXPECT_THAT(revoke.get(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(store->PutRevocation(Row("cut")), StatusSays(StatusCode::kUnavailable, "connect"));
  server_.Start();
  DisturbNoMore();
  EXPECT_EQ(store->ListRevocations().value(), std::vector{Row("before")});
  EXPECT_EQ(store->PutRevocations(std::vector{Row("cut")}).value(), 2u);
}

TEST_F(PostgresqlFaults, ABackendThatIsKilledCostsNoMoreThanATryAgain) {
  auto store = Open();
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(kill(Backend(*store), SIGKILL), 0);  // the server then restarts all of them
    EXPECT_THAT(PutUntilItWorks(*store, Row(std::to_string(round))), IsOk());
  }
  // Counted by the server, for the last restart may be under way.
  EXPECT_EQ(Sql("SELECT count(*) FROM exeat.revocation"), "3");
}

TEST_F(PostgresqlFaults, WhatWasAcknowledgedIsThereAfterAKill) {
  auto store = Open();
  std::vector<RevocationRow> acknowledged;
  for (int round = 0; round < 5; ++round) {
    acknowledged.push_back(Row(std::to_string(round)));
    ASSERT_THAT(store->PutRevocation(acknowledged.back()), IsOk());
    server_.Kill();
    server_.Start();
    ASSERT_EQ(store->ListRevocations().value(), acknowledged);
  }
}

TEST_F(PostgresqlFaults, AConnectionThatWasClosedWhileIdleIsDialledAgain) {
  auto store = Open();
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_THAT(store->PutRevocation(Row("a")), IsOk());
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_EQ(store->ListRevocations().value(), std::vector{Row("a")});
}

TEST_F(PostgresqlFaults, AServerThatStopsAnsweringIsGivenUpOn) {
  auto store = Open(milliseconds(200));
  const pid_t backend = Backend(*store);
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  EXPECT_THAT(store->PutRevocation(Row("a")), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(store->PutRevocation(Row("a")), IsOk());  // on another connection
  ASSERT_EQ(kill(backend, SIGCONT), 0);
}

TEST_F(PostgresqlFaults, ACommitThatDoesNotReachTheStandbyIsNotAcknowledged) {
  auto impatient = Open(milliseconds(200));
  auto store = Open();
  server_.Set("synchronous_standby_names", "absent");
  EXPECT_THAT(impatient->PutRevocation(Row("a")), StatusIs(StatusCode::kDeadlineExceeded));
  impatient.reset();
  while (Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
             " WHERE wait_event = 'SyncRep'") != "") {
  }
  auto revoke = std::async(std::launch::async, [&] { return store->PutRevocation(Row("b")); });
  AwaitWaiting("IPC");  // SyncRep
  Sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  EXPECT_THAT(revoke.get(), StatusSays(StatusCode::kUnavailable, "standby"));
  server_.Set("synchronous_standby_names", "");
  EXPECT_THAT(store->PutRevocation(Row("b")), IsOk());
}

TEST_F(PostgresqlFaults, ADatabaseThatLostItsSchemaIsNoNewStart) {
  auto store = Open();
  ASSERT_THAT(store->PutRevocation(Row("a")), IsOk());
  Sql("DROP SCHEMA exeat CASCADE");
  EXPECT_FALSE(store->ListRevocations().ok());
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_THAT(store->ListRevocations(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_EQ(Sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'exeat'"), "0");
}

TEST_F(PostgresqlFaults, ADatabaseMadeAnewIsAnotherTimeline) {
  auto store = Open();
  const Position before = store->ReadAll(0, {}).value();
  Sql("DROP SCHEMA exeat CASCADE");
  auto other = Open();
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_THAT(store->ChangesAfter(before, 10), StatusIs(StatusCode::kOutOfRange));
  EXPECT_THAT(store->RenewLease("edge-1", before), StatusIs(StatusCode::kOutOfRange));
}

TEST_F(PostgresqlFaults, AFailoverIsAnotherTimelineAndAStandbyIsNoStore) {
  auto store = Open();
  ASSERT_THAT(store->PutRevocation(Row("a")), IsOk());
  const Position before = store->ReadAll(0, {}).value();
  ASSERT_THAT(store->RenewLease("edge-1", before), IsOk());
  server_.Kill();
  server_.MakeStandby();
  server_.Start();
  EXPECT_THAT(store->PutRevocation(Row("b")), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(store->RenewLease("edge-1", before), StatusIs(StatusCode::kUnavailable));
  ASSERT_EQ(Sql("SELECT pg_promote()"), "t");
  EXPECT_THAT(store->ChangesAfter(before, 10), StatusIs(StatusCode::kOutOfRange));
  EXPECT_THAT(store->RenewLease("edge-1", before), StatusIs(StatusCode::kOutOfRange));
  const Position after = store->ReadAll(0, {}).value();
  EXPECT_NE(after.timeline, before.timeline);
  EXPECT_EQ(after.seq, 1u);
  EXPECT_THAT(store->RenewLease("edge-1", after), IsOk());
  EXPECT_THAT(store->PutRevocation(Row("b")), IsOk());
}

// Two writers, each with changes that fail among them, and a follower that sleeps in between.
TEST_F(PostgresqlFaults, AFollowerSeesEveryChangeOnceInTheOrderOfTheAcknowledgements) {
  constexpr int kEach = 60;
  auto follower = Open();
  Position position = follower->ReadAll(0, {}).value();
  std::array<std::map<std::string, std::uint64_t>, 2> acknowledged;
  std::map<std::string, std::uint64_t> seen;
  {
    std::vector<std::jthread> writers;
    for (std::size_t w = 0; w < acknowledged.size(); ++w) {
      writers.emplace_back([this, w, &mine = acknowledged[w]] {
        auto store = Open();
        for (int i = 0; i < kEach; ++i) {
          const std::string id = fmt::format("{}-{}", w, i);
          const auto seq = store->PutRevocations(std::vector{Row(id)});
          EXPECT_THAT(seq, IsOk());
          mine[id] = seq.value_or(0);
          EXPECT_FALSE(store->DeleteRevocation(RevokedKind::kSubject, "none").ok());
        }
      });
    }
    while (position.seq < 2 * kEach) {
      const auto there = follower->WaitForChange(position.seq, std::chrono::minutes(1));
      ASSERT_THAT(there, IsOk());
      ASSERT_TRUE(*there);
      const auto changes = follower->ChangesAfter(position, 7);
      ASSERT_THAT(changes, IsOk());
      for (const Change& change : *changes) {
        ASSERT_EQ(change.seq, position.seq + 1);
        seen[std::get<RevocationPut>(change.what).row.id] = change.seq;
        position.seq = change.seq;
      }
    }
  }
  acknowledged[0].insert(acknowledged[1].begin(), acknowledged[1].end());
  EXPECT_EQ(seen, acknowledged[0]);
}

TEST_F(PostgresqlFaults, AWaitingFollowerIsWokenByTheCommitOfAnother) {
  constexpr std::chrono::seconds kTimeout{60};
  auto store = Open();
  const base::BootTime started = base::SystemClock().BootNow();
  auto woken = std::async(std::launch::async, [this, kTimeout] {
    auto follower = Open();
    return follower->WaitForChange(0, kTimeout);
  });
  while (Sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
             " query LIKE 'SELECT last%' AND state = 'idle'") == "0") {
  }
  ASSERT_THAT(store->PutRevocation(Row("a")), IsOk());
  EXPECT_EQ(woken.get().value(), true);
  EXPECT_LT(base::SystemClock().BootNow() - started, kTimeout);
}

TEST_F(PostgresqlFaults, AFirstLeaseWaitsForAChangeThatIsJustBeingCommitted) {
  auto store = Open();
  const Position before = store->ReadAll(0, {}).value();
  auto raw = Raw();
  ASSERT_THAT(raw->RunScript("BEGIN; UPDATE exeat.change_counter SET last = last + 1; INSERT INTO"
                             " exeat.change VALUES (1, 2, 0, 'x', '', 1, 0)"),
              IsOk());
  auto lease =
      std::async(std::launch::async, [&] { return store->RenewLease("edge-1", before).status(); });
  AwaitWaiting("Lock");
  ASSERT_THAT(raw->RunScript("COMMIT"), IsOk());
  EXPECT_THAT(lease.get(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_TRUE(store->LiveEdges().value().empty());
}

}  // namespace
}  // namespace exeat::store
