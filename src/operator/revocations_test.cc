#include "operator/revocations.h"

#include <future>
#include <thread>

#include "operator/testing/desks.h"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using std::chrono::seconds;
using store::RevokedKind;

using Revocations = Desks;

TEST_F(Revocations, HoldOverARestart) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  revocation::Denylist fresh;
  RevocationDesk restarted({edge_, fresh, store_, worker_, recorder_, metrics_, clock_}, {});
  ASSERT_THAT(restarted.Load(), IsOk());
  EXPECT_TRUE(fresh.Read().Contains(revocation::Kind::kSession, minted.session.row.sid));
}

TEST_F(Revocations, DenyEverythingUntilTheyAreLoaded) {
  revocation::Denylist fresh;
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "corrupt"));
  RevocationDesk restarted({edge_, fresh, store_, worker_, recorder_, metrics_, clock_}, {});
  EXPECT_THAT(restarted.Load(), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(fresh.Read().Check({"s", "j", "b"}), revocation::Standing::kNotLoaded);
  store_.FailWith(absl::OkStatus());
  EXPECT_THAT(restarted.CheckStanding({.sid = "s", .sub = "alice", .jti = "j"}),
              StatusSays(StatusCode::kUnavailable, "not loaded"));
}

TEST_F(Revocations, RevokeInMemoryThoughTheStoreFailsAndSayThatItIsNotDurable) {
  const Minted minted = MustCreate();
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "disk is gone"));
  const auto revoked = revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_FALSE(revoked->durable);
  EXPECT_THAT(revoked->problem, ::testing::HasSubstr("disk is gone"));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
}

TEST_F(Revocations, RevokeBeforeTheStoreAnswers) {
  const Minted minted = MustCreate();
  std::promise<void> entered;
  std::promise<void> opened;
  ASSERT_THAT(worker_.TryPost([&] {
    entered.set_value();
    opened.get_future().wait();
  }),
              IsOk());
  entered.get_future().wait();
  const int before = edge_.denylist_changes();
  auto revoked = std::async(std::launch::async, [&] {
    return revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""});
  });
  while (edge_.denylist_changes() == before) std::this_thread::yield();
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  opened.set_value();
  EXPECT_TRUE(revoked.get()->durable);
}

TEST_F(Revocations, RevokeOfAnUnknownSidIsAcceptedTwice) {
  for (int i = 0; i < 2; ++i) {
    const auto revoked = revocations_.Revoke({RevokedKind::kSession, "nobody", ""});
    ASSERT_THAT(revoked, IsOk());
    EXPECT_TRUE(revoked->durable);
  }
  EXPECT_EQ(store_.ListRevocations()->size(), 1U);
}

TEST_F(Revocations, OutliveEveryTokenTheyCouldStop) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kTokenId, "j", ""}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSubject, "carol", ""}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kAll, "", ""}), IsOk());
  const auto rows = store_.ListRevocations();
  ASSERT_THAT(rows, IsOk());
  ASSERT_EQ(rows->size(), 4U);
  for (const store::RevocationRow& row : *rows) {
    switch (row.kind) {
      case RevokedKind::kSession:
        EXPECT_EQ(row.expires_at, minted.expires_at + 60 + 60);
        break;
      case RevokedKind::kTokenId:
        EXPECT_EQ(row.expires_at, clock_.UnixNow() + kLongestToken.count() + 60);
        break;
      case RevokedKind::kSubject:
      case RevokedKind::kAll:
        EXPECT_EQ(row.expires_at, 0);
        break;
    }
  }
}

TEST_F(Revocations, ThatMakeNoSenseChangeNothing) {
  EXPECT_THAT(revocations_.Revoke({RevokedKind::kSession, "", ""}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(revocations_.Revoke({RevokedKind::kAll, "x", ""}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(denylist_.Read().size(), 0U);
  EXPECT_FALSE(denylist_.Read().everything());
}

TEST_F(Revocations, RestoreTakesBackExactlyThatEntry) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSubject, "alice", ""}), IsOk());
  ASSERT_THAT(revocations_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  ASSERT_THAT(revocations_.Restore({RevokedKind::kSubject, "alice", ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kClear);
  EXPECT_THAT(revocations_.Restore({RevokedKind::kSubject, "alice", ""}),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(Revocations, RestoreLeavesTheEntryInForceWhenTheStoreFails) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(revocations_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
}

TEST_F(Revocations, RestoreTakesBackWhatTheStoreNeverGot) {
  const Minted minted = MustCreate();
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  store_.FailWith(absl::OkStatus());
  EXPECT_THAT(revocations_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kClear);
}

TEST_F(Revocations, RestoredAndRevokedAtOnceLeaveMemoryAndStoreAlike) {
  const RevocationRequest request{RevokedKind::kSubject, "alice", ""};
  for (int round = 0; round < 200; ++round) {
    ASSERT_THAT(revocations_.Revoke(request), IsOk());
    auto restored = std::async(std::launch::async, [&] { return revocations_.Restore(request); });
    auto revoked = std::async(std::launch::async, [&] { return revocations_.Revoke(request); });
    (void)restored.get();
    ASSERT_THAT(revoked.get(), IsOk());
    ASSERT_EQ(denylist_.Read().Contains(revocation::Kind::kSubject, "alice"),
              store_.ListRevocations()->size() == 1);
  }
}

TEST_F(Revocations, DenyAndCutAnewWhatARestoreTookBackBeforeTheyWereStored) {
  std::promise<void> opened;
  ASSERT_THAT(worker_.TryPost([&] { opened.get_future().wait(); }), IsOk());
  ASSERT_THAT(worker_.TryPost([&] {
    denylist_.Remove({revocation::Kind::kSubject, "alice"});
    edge_.DenylistChanged();
  }),
              IsOk());
  const int before = edge_.denylist_changes();
  auto revoked = std::async(std::launch::async, [&] {
    return revocations_.Revoke({RevokedKind::kSubject, "alice", ""});
  });
  while (edge_.cuts().empty()) std::this_thread::yield();
  opened.set_value();
  EXPECT_TRUE(revoked.get()->durable);
  EXPECT_TRUE(denylist_.Read().Contains(revocation::Kind::kSubject, "alice"));
  EXPECT_EQ(edge_.denylist_changes(), before + 3);
  EXPECT_EQ(edge_.cuts().size(), 2U);
}

TEST_F(Revocations, RestoreOfWhatIsNotInForceRecordsNothing) {
  EXPECT_THAT(revocations_.Restore({RevokedKind::kSession, "nobody", ""}),
              StatusSays(StatusCode::kNotFound, "nobody"));
  EXPECT_TRUE(audit_.events().empty());
}

limits::OpenStream StreamOf(const store::SessionRow& row) {
  session::Claims claims;
  claims.sid = row.sid;
  claims.jti = row.jti;
  claims.sub = row.sub;
  limits::OpenStream stream;
  stream.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
  return stream;
}

TEST_F(Revocations, EndTheStreamsOfExactlyThoseTheyName) {
  const Minted alice = MustCreate("alice");
  const Minted bob = MustCreate("bob");
  const std::vector<std::pair<RevocationRequest, bool>> cases = {
      {{RevokedKind::kSession, alice.session.row.sid, ""}, false},
      {{RevokedKind::kTokenId, alice.session.row.jti, ""}, false},
      {{RevokedKind::kSubject, "alice", ""}, false},
      {{RevokedKind::kAll, "", ""}, true},
  };
  for (const auto& [request, everybody] : cases) {
    ASSERT_THAT(revocations_.Revoke(request), IsOk());
    const limits::Whose whose = edge_.cuts().back();
    EXPECT_TRUE(whose(StreamOf(alice.session.row)));
    EXPECT_EQ(whose(StreamOf(bob.session.row)), everybody);
  }
}

TEST_F(Revocations, TellAndRecordWhatCameOfTheCut) {
  edge_.AnswerCuts({.open = 3, .uncut = 1, .took = std::chrono::milliseconds(7)});
  const auto revoked = revocations_.Revoke({RevokedKind::kSubject, "alice", "leaked"});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(audit_.events().size(), 1U) << "acknowledged before the streams are waited for";
  const CutReport report = revocations_.AwaitCut(*revoked);
  EXPECT_EQ(report.open, 3U);
  EXPECT_EQ(report.uncut, 1U);
  const auto events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].activity, "streams_cut");
  EXPECT_FALSE(events[1].allowed) << "one is still open";
  EXPECT_EQ(events[1].detail, "2 of 3 open streams ended within 7 ms");
}

TEST_F(Revocations, AreInForceWhenEnvoyHasLetGoOfTunnelsThatItAsksAboutOnce) {
  edge_.AnswerCuts({.open = 2, .uncut = 0}, 1);
  const auto revoked = revocations_.Revoke({RevokedKind::kSession, "a", ""});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->uncut, 0U);
  EXPECT_EQ(revoked->problem, "");
  EXPECT_TRUE(revoked->report.has_value()) << "awaited before the answer";
  edge_.AnswerCuts({.open = 2, .uncut = 1}, 1);
  const auto open = revocations_.Revoke({RevokedKind::kSession, "b", ""});
  ASSERT_THAT(open, IsOk());
  EXPECT_TRUE(open->durable);
  EXPECT_EQ(open->uncut, 1U);
  EXPECT_THAT(open->problem, testing::HasSubstr("1 open streams are not known to have ended"));
  EXPECT_EQ(revocations_.AwaitCut(*open).uncut, 1U);
  edge_.AnswerCuts({.open = 2, .uncut = 1}, 0);
  EXPECT_EQ(revocations_.Revoke({RevokedKind::kSession, "c", ""})->uncut, 0U)
      << "where each request is asked about the denial is in force at once";
}

TEST_F(Revocations, OfManyAreAllOrNothing) {
  std::vector<RevocationRequest> many = {{RevokedKind::kSession, "a", ""},
                                         {RevokedKind::kSubject, "b", ""},
                                         {RevokedKind::kTokenId, "", ""}};
  EXPECT_THAT(revocations_.RevokeAll(many), StatusSays(StatusCode::kInvalidArgument, "entry 3"));
  EXPECT_EQ(denylist_.Read().size(), 0U);
  EXPECT_TRUE(audit_.events().empty());
  many.pop_back();
  ASSERT_THAT(revocations_.RevokeAll(many), IsOk());
  EXPECT_EQ(denylist_.Read().size(), 2U);
  EXPECT_EQ(store_.ListRevocations()->size(), 2U);
  EXPECT_EQ(edge_.cuts().size(), 1U);
  many.push_back({RevokedKind::kSession, "unknown", ""});
  EXPECT_THAT(revocations_.RestoreAll(many), StatusSays(StatusCode::kNotFound, "unknown"));
  EXPECT_EQ(denylist_.Read().size(), 2U);
  many.pop_back();
  ASSERT_THAT(revocations_.RestoreAll(many), IsOk());
  EXPECT_EQ(denylist_.Read().size(), 0U);
  EXPECT_EQ(store_.ListRevocations()->size(), 0U);
}

TEST_F(Revocations, OfTooManyAtOnceAreRefused) {
  std::vector<RevocationRequest> many(kMaxAtOnce + 1, {RevokedKind::kSession, "a", ""});
  EXPECT_THAT(revocations_.RevokeAll(many), StatusSays(StatusCode::kInvalidArgument, "more than"));
  EXPECT_THAT(revocations_.RestoreAll(many), StatusSays(StatusCode::kInvalidArgument, "more than"));
  EXPECT_EQ(denylist_.Read().size(), 0U);
}

TEST_F(Revocations, ListLeavesOutWhatIsStoredButNoLongerInForce) {
  store::RevocationRow ended;
  ended.id = "ended";
  ended.expires_at = 1;
  ASSERT_THAT(store_.PutRevocations(std::vector<store::RevocationRow>{ended}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, "a", "leaked"}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kAll, "", ""}), IsOk());
  const auto rows = revocations_.List();
  ASSERT_THAT(rows, IsOk());
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->at(0).id, "a");
  EXPECT_EQ(rows->at(0).reason, "leaked");
  EXPECT_EQ(rows->at(1).kind, RevokedKind::kAll);
}

TEST_F(Revocations, OfManyTakeBackWhatTheStoreHalfKnows) {
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, "stored", ""}), IsOk());
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, "in memory", ""}), IsOk());
  store_.FailWith(absl::OkStatus());
  ASSERT_THAT(revocations_.RestoreAll({{RevokedKind::kSession, "stored", ""},
                                       {RevokedKind::kSession, "in memory", ""}}),
              IsOk());
  EXPECT_EQ(denylist_.Read().size(), 0U);
  EXPECT_EQ(store_.ListRevocations()->size(), 0U);
}

}  // namespace
}  // namespace exeat::ops
