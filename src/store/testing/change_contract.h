// The second half of what every Store does: bulk, the sequence of changes, the leases of edges.
//
// Use:  as store_contract.h, whose instantiations these tests join.
#pragma once

#include <string>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "store/testing/store_contract.h"

namespace exeat::store {

inline RevocationRow Entry(const std::string& id, const std::string& reason = "leaked") {
  return {RevokedKind::kTokenId, id, reason, 100, 1000};
}

inline Position Now(Store& store) { return store.ReadAll(0, {}).value(); }

inline std::vector<Change> AllChanges(Store& store) {
  Position start = Now(store);
  start.seq = 0;
  const auto changes = store.ChangesAfter(start, 1000);
  EXPECT_THAT(changes, base::IsOk());
  return changes.value_or(std::vector<Change>());
}

TEST_P(StoreContract, PutsAndDeletesManyRevocationsAtOnce) {
  const std::vector<RevocationRow> rows = {Entry("a"), Entry("b"), Entry("c")};
  EXPECT_EQ(store().PutRevocations(rows).value(), 3u);
  Reopen();
  EXPECT_EQ(store().ListRevocations().value(), rows);
  const std::vector<RevocationKey> keys = {{RevokedKind::kTokenId, "a"},
                                           {RevokedKind::kTokenId, "c"}};
  EXPECT_EQ(store().DeleteRevocations(keys).value(), 5u);
  Reopen();
  EXPECT_EQ(store().ListRevocations().value(), std::vector{Entry("b")});
}

TEST_P(StoreContract, PutsNoneOfManyWhenOneMakesNoSense) {
  const std::vector<RevocationRow> rows = {Entry("a"), Entry(""), Entry("c")};
  EXPECT_THAT(store().PutRevocations(rows), base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_THAT(store().PutRevocations({}), base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_TRUE(store().ListRevocations().value().empty());
  EXPECT_TRUE(AllChanges(store()).empty());
}

TEST_P(StoreContract, DeletesNoneOfManyWhenOneIsNotThere) {
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  const std::vector<RevocationKey> keys = {{RevokedKind::kTokenId, "a"},
                                           {RevokedKind::kTokenId, "missing"}};
  EXPECT_THAT(store().DeleteRevocations(keys),
              base::StatusSays(base::StatusCode::kNotFound, "missing"));
  EXPECT_EQ(store().ListRevocations().value(), std::vector{Entry("a")});
  EXPECT_EQ(AllChanges(store()).size(), 1u);
}

TEST_P(StoreContract, LetsTheLastOfTwoEntriesWithOneKeyCount) {
  const std::vector<RevocationRow> rows = {Entry("a", "first"), Entry("b"), Entry("a", "last")};
  EXPECT_EQ(store().PutRevocations(rows).value(), 2u);
  EXPECT_EQ(store().ListRevocations().value(), (std::vector{Entry("a", "last"), Entry("b")}));
}

TEST_P(StoreContract, NumbersEveryChangeInTheOrderOfTheCommits) {
  ASSERT_THAT(store().InsertSession(Session("s")), base::IsOk());
  SessionRow renewed = Session("s", 100, 2000);
  ASSERT_THAT(store().UpdateSession(renewed), base::IsOk());
  const RevocationRow odd = {RevokedKind::kSubject, std::string("\0'\xff", 3), "why", 7, 0};
  ASSERT_THAT(store().PutRevocation(odd), base::IsOk());
  ASSERT_THAT(store().AppendPolicy("text", "/etc", 5), base::IsOk());
  ASSERT_THAT(store().DeleteRevocation(odd.kind, odd.id), base::IsOk());
  Reopen();
  EXPECT_EQ(AllChanges(store()), (std::vector<Change>{{1, SessionPut{"s", 1000}},
                                                      {2, SessionPut{"s", 2000}},
                                                      {3, RevocationPut{odd}},
                                                      {4, PolicyAppended{1}},
                                                      {5, RevocationDeleted{{odd.kind, odd.id}}}}));
}

TEST_P(StoreContract, LeavesNoGapForWhatFailed) {
  ASSERT_THAT(store().InsertSession(Session("s")), base::IsOk());
  EXPECT_FALSE(store().InsertSession(Session("s")).ok());
  EXPECT_FALSE(store().UpdateSession(Session("none")).ok());
  EXPECT_FALSE(store().DeleteRevocation(RevokedKind::kSubject, "none").ok());
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  EXPECT_EQ(AllChanges(store()),
            (std::vector<Change>{{1, SessionPut{"s", 1000}}, {2, RevocationPut{Entry("a")}}}));
}

TEST_P(StoreContract, GivesChangesInPartsAndThenNone) {
  const std::vector<RevocationRow> rows = {Entry("a"), Entry("b"), Entry("c")};
  const Position start = Now(store());
  EXPECT_EQ(start.seq, 0u);
  ASSERT_THAT(store().PutRevocations(rows), base::IsOk());
  const auto first = store().ChangesAfter(start, 2);
  ASSERT_THAT(first, base::IsOk());
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ((*first)[1], (Change{2, RevocationPut{Entry("b")}}));
  EXPECT_EQ(store().ChangesAfter({start.timeline, 2}, 2).value(),
            (std::vector<Change>{{3, RevocationPut{Entry("c")}}}));
  EXPECT_TRUE(store().ChangesAfter({start.timeline, 3}, 2).value().empty());
}

TEST_P(StoreContract, ReadsAllAsOfOnePosition) {
  ASSERT_THAT(store().InsertSession(Session("ended", 1, 500)), base::IsOk());
  ASSERT_THAT(store().InsertSession(Session("live", 1, 501)), base::IsOk());
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  std::vector<SessionRow> sessions;
  std::vector<RevocationRow> revocations;
  const auto position = store().ReadAll(
      500, {.session = [&](const SessionRow& row) { sessions.push_back(row); },
            .revocation = [&](const RevocationRow& row) { revocations.push_back(row); }});
  ASSERT_THAT(position, base::IsOk());
  EXPECT_EQ(position->seq, 3u);
  EXPECT_EQ(sessions, std::vector{Session("live", 1, 501)});
  EXPECT_EQ(revocations, std::vector{Entry("a")});
  EXPECT_TRUE(store().ChangesAfter(*position, 10).value().empty());
}

TEST_P(StoreContract, SaysReadAllAgainWhereItCannotGoOn) {
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  const Position now = Now(store());
  EXPECT_THAT(store().ChangesAfter({now.timeline, 2}, 10),
              base::StatusIs(base::StatusCode::kOutOfRange));
  EXPECT_THAT(store().ChangesAfter({"another", 1}, 10),
              base::StatusIs(base::StatusCode::kOutOfRange));
}

TEST_P(StoreContract, PruningIsAChangeAndForgetsOldChanges) {
  ASSERT_THAT(store().PutRevocation(Entry("ended")), base::IsOk());
  std::vector<RevocationRow> rows;
  for (std::uint64_t i = 0; i < kKeptChanges; ++i) {
    rows.push_back({RevokedKind::kTokenId, fmt::format("t{:05}", i), "", 1, 0});
  }
  ASSERT_THAT(store().PutRevocations(rows), base::IsOk());
  const auto ended = store().DeleteEnded(1001);
  ASSERT_THAT(ended, base::IsOk());
  EXPECT_EQ(*ended, (std::vector<RevocationKey>{{RevokedKind::kTokenId, "ended"}}));
  const Position now = Now(store());
  EXPECT_EQ(now.seq, kKeptChanges + 2);
  EXPECT_EQ(store().ChangesAfter({now.timeline, now.seq - 1}, 10).value(),
            (std::vector<Change>{{now.seq, RevocationDeleted{{RevokedKind::kTokenId, "ended"}}}}));
  EXPECT_EQ(store().ChangesAfter({now.timeline, 2}, 10).value().size(), 10u);
  EXPECT_THAT(store().ChangesAfter({now.timeline, 1}, 10),
              base::StatusIs(base::StatusCode::kOutOfRange));
  EXPECT_EQ(store().DeleteEnded(1001).value(), std::vector<RevocationKey>{});
  EXPECT_EQ(Now(store()), now);
}

TEST_P(StoreContract, KeepsPublicKeysUntilTheyEndOrAreDeleted) {
  const PublicKeyRow a{"kid-a", R"({"kid":"kid-a"})", 1000};
  const PublicKeyRow b{"kid-b", R"({"kid":"kid-b"})", 2000};
  const PublicKeyRow again{"kid-a", R"({"kid":"kid-a","x":"1"})", 3000};
  EXPECT_EQ(store().PutPublicKeys(std::vector{a, b}).value(), 2u);
  EXPECT_EQ(store().PutPublicKeys(std::vector{again}).value(), 3u);
  EXPECT_THAT(store().PutPublicKeys(std::vector{PublicKeyRow{}}),
              base::StatusIs(base::StatusCode::kInvalidArgument));
  Reopen();
  std::vector<PublicKeyRow> keys;
  const Rows rows{.public_key = [&](const PublicKeyRow& row) { keys.push_back(row); }};
  ASSERT_THAT(store().ReadAll(0, rows), base::IsOk());
  EXPECT_THAT(keys, testing::UnorderedElementsAre(again, b));
  ASSERT_THAT(store().DeleteEnded(2001), base::IsOk());
  EXPECT_EQ(store().DeletePublicKeys(std::vector<std::string>{"none", "kid-a"}).value(), 5u);
  EXPECT_EQ(store().DeletePublicKeys(std::vector<std::string>{"none"}).value(), 5u);
  keys.clear();
  ASSERT_THAT(store().ReadAll(0, rows), base::IsOk());
  EXPECT_TRUE(keys.empty());
  EXPECT_EQ(AllChanges(store()), (std::vector<Change>{{1, PublicKeyPut{a}},
                                                      {2, PublicKeyPut{b}},
                                                      {3, PublicKeyPut{again}},
                                                      {4, PublicKeyDeleted{"kid-b"}},
                                                      {5, PublicKeyDeleted{"kid-a"}}}));
}

TEST_P(StoreContract, WaitsForAChangeNoLongerThanItIsToldTo) {
  using std::chrono::milliseconds;
  EXPECT_EQ(store().WaitForChange(0, milliseconds(5)).value(), false);
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  EXPECT_EQ(store().WaitForChange(0, std::chrono::hours(1)).value(), true);
  EXPECT_EQ(store().WaitForChange(1, milliseconds(5)).value(), false);
}

TEST_P(StoreContract, GrantsALeaseToAnEdgeThatIsUpToDate) {
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  const Position now = Now(store());
  EXPECT_THAT(store().RenewLease("edge-1", {now.timeline, 0}),
              base::StatusSays(base::StatusCode::kFailedPrecondition, "0 of 1"));
  EXPECT_TRUE(store().LiveEdges().value().empty());
  EXPECT_EQ(store().RenewLease("edge-1", now).value(), 1u);
  const auto live = store().LiveEdges();
  ASSERT_THAT(live, base::IsOk());
  ASSERT_EQ(live->size(), 1u);
  EXPECT_EQ((*live)[0].edge, "edge-1");
  EXPECT_EQ((*live)[0].applied, 1u);
  EXPECT_GE((*live)[0].age.count(), 0);
  EXPECT_LT((*live)[0].age.count(), 60'000);
}

TEST_P(StoreContract, RenewsTheLeaseOfAnEdgeThatIsBehindAndSaysHowFar) {
  const Position start = Now(store());
  ASSERT_THAT(store().RenewLease("edge-1", start), base::IsOk());
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  EXPECT_EQ(store().RenewLease("edge-1", start).value(), 1u);
  EXPECT_EQ(store().LiveEdges().value().at(0).applied, 0u);
  EXPECT_EQ(store().RenewLease("edge-1", {start.timeline, 1}).value(), 1u);
  const EdgeLease lease = store().LiveEdges().value().at(0);
  EXPECT_EQ(lease.applied, 1u);
  EXPECT_EQ(lease.renewals, 3u);
}

TEST_P(StoreContract, EndsOnlyALeaseThatWasNotRenewedMeanwhile) {
  const Position start = Now(store());
  ASSERT_THAT(store().RenewLease("edge-1", start), base::IsOk());
  ASSERT_THAT(store().RenewLease("edge-2", start), base::IsOk());
  const std::uint64_t seen = store().LiveEdges().value().at(0).renewals;
  ASSERT_THAT(store().RenewLease("edge-1", start), base::IsOk());
  EXPECT_EQ(store().EndLease("edge-1", seen).value(), false);
  EXPECT_EQ(store().LiveEdges().value().size(), 2u);
  EXPECT_EQ(store().EndLease("edge-1", seen + 1).value(), true);
  EXPECT_EQ(store().EndLease("edge-1", seen + 1).value(), false);
  EXPECT_EQ(store().LiveEdges().value().at(0).edge, "edge-2");
}

TEST_P(StoreContract, AnEdgeWhoseLeaseWasEndedGetsNoneBeforeItHasCaughtUp) {
  const Position start = Now(store());
  ASSERT_THAT(store().RenewLease("edge-1", start), base::IsOk());
  ASSERT_THAT(store().PutRevocation(Entry("a")), base::IsOk());
  ASSERT_EQ(store().EndLease("edge-1", 1).value(), true);
  EXPECT_THAT(store().RenewLease("edge-1", start),
              base::StatusIs(base::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(store().LiveEdges().value().empty());
  EXPECT_THAT(store().RenewLease("edge-1", {start.timeline, 1}), base::IsOk());
}

TEST_P(StoreContract, RefusesALeaseOnAnotherTimelineOrAheadOfTheDatabase) {
  const Position now = Now(store());
  ASSERT_THAT(store().RenewLease("edge-1", now), base::IsOk());
  EXPECT_THAT(store().RenewLease("edge-1", {"another", now.seq}),
              base::StatusIs(base::StatusCode::kOutOfRange));
  EXPECT_THAT(store().RenewLease("edge-1", {now.timeline, now.seq + 1}),
              base::StatusIs(base::StatusCode::kOutOfRange));
  EXPECT_THAT(store().RenewLease("", now), base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_EQ(store().LiveEdges().value().at(0).renewals, 1u);
}

}  // namespace exeat::store
