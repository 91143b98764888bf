#include "operator/sessions.h"

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

using Sessions = Desks;

TEST_F(Sessions, SignTheClaimsThatWereAskedFor) {
  const Minted minted = MustCreate();
  ASSERT_EQ(keys_.signed_claims.size(), 1U);
  const session::Claims& claims = keys_.signed_claims.front();
  EXPECT_EQ(claims.iss, "acme");
  EXPECT_EQ(claims.sub, "alice");
  EXPECT_EQ(claims.grants, std::vector<std::string>{"docs"});
  EXPECT_EQ(claims.nbf, clock_.UnixNow());
  EXPECT_EQ(claims.exp, clock_.UnixNow() + 60);
  EXPECT_EQ(minted.expires_at, claims.exp);
  EXPECT_EQ(store_.FindSession(claims.sid)->jti, claims.jti);
}

TEST_F(Sessions, HandNothingOutWhenTheStoreFails) {
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}),
              StatusSays(StatusCode::kUnavailable, "locked"));
  EXPECT_TRUE(keys_.signed_claims.empty());
  EXPECT_EQ(desk_.live_sessions(), 0U);
}

TEST_F(Sessions, HandNothingOutWhenAuditFails) {
  audit_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "full"));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(keys_.signed_claims.empty());
}

TEST_F(Sessions, RefuseALifetimeOutsideItsBounds) {
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(0)}),
              StatusSays(StatusCode::kInvalidArgument, "at least 1s"));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(-5)}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(601)}),
              StatusSays(StatusCode::kInvalidArgument, "600s"));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(1)}), IsOk());
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(600)}), IsOk());
}

TEST_F(Sessions, RefuseAnUnknownGrantAndNameTheKnownOnes) {
  EXPECT_THAT(desk_.Create({"alice", {"doc"}, seconds(60)}),
              StatusSays(StatusCode::kInvalidArgument, "docs, mail"));
}

TEST_F(Sessions, RefuseASubjectThatIsNotPrintable) {
  EXPECT_THAT(desk_.Create({"", {}, seconds(60)}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(desk_.Create({"a\nb", {}, seconds(60)}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(desk_.Create({std::string(257, 'a'), {}, seconds(60)}),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(Sessions, KeepNoRowOfASubjectThatNoTokenMayName) {
  for (const std::string& sub : {std::string("a b"), std::string("a,b"), std::string(129, 'a')}) {
    EXPECT_THAT(desk_.Create({sub, {}, seconds(60)}),
                StatusSays(StatusCode::kInvalidArgument, "the subject"))
        << sub;
  }
  EXPECT_EQ(desk_.List()->size(), 0U);
  EXPECT_EQ(desk_.live_sessions(), 0U);
}

TEST_F(Sessions, SayWhichRevocationStandsInTheWayOfARenewal) {
  const Minted minted = MustCreate("alice");
  const std::string sid = minted.session.row.sid;
  const std::vector<std::pair<RevocationRequest, std::string>> revocations = {
      {{store::RevokedKind::kSession, sid, ""}, "restore " + sid},
      {{store::RevokedKind::kSubject, "alice", ""}, "restore --sub alice"},
      {{store::RevokedKind::kTokenId, minted.session.row.jti, ""},
       "restore --jti " + minted.session.row.jti},
      {{store::RevokedKind::kAll, "", ""}, "restore --all"},
  };
  for (const auto& [revocation, undo] : revocations) {
    ASSERT_THAT(revocations_.Revoke(revocation), IsOk());
    EXPECT_THAT(desk_.Renew(sid, seconds(60)), StatusSays(StatusCode::kFailedPrecondition, undo));
    ASSERT_THAT(revocations_.Restore(revocation), IsOk());
  }
}

TEST_F(Sessions, AreCappedUntilOneEnds) {
  for (int i = 0; i < 3; ++i) MustCreate();
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}), StatusIs(StatusCode::kResourceExhausted));
  clock_.Advance(seconds(60));
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}), IsOk());
  EXPECT_EQ(desk_.live_sessions(), 1U);
}

TEST_F(Sessions, AreRefusedForARevokedSubject) {
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSubject, "alice", "left"}), IsOk());
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(desk_.Create({"bob", {}, seconds(60)}), IsOk());
}

TEST_F(Sessions, AreRefusedWhileEverythingIsRevoked) {
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kAll, "", "incident"}), IsOk());
  EXPECT_THAT(desk_.Create({"bob", {}, seconds(60)}), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_THAT(revocations_.Restore({RevokedKind::kAll, "", "over"}), IsOk());
  EXPECT_THAT(desk_.Create({"bob", {}, seconds(60)}), IsOk());
}

TEST_F(Sessions, KeepTheirSidWhenRenewed) {
  const Minted first = MustCreate();
  clock_.Advance(seconds(30));
  base::StatusOr<Minted> second = desk_.Renew(first.session.row.sid, seconds(60));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->session.row.sid, first.session.row.sid);
  EXPECT_NE(second->session.row.jti, first.session.row.jti);
  EXPECT_EQ(second->expires_at, clock_.UnixNow() + 60);
}

TEST_F(Sessions, RenewedForLessStillRememberTheirLongestToken) {
  const Minted first = MustCreate();
  base::StatusOr<Minted> second = desk_.Renew(first.session.row.sid, seconds(5));
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->expires_at, clock_.UnixNow() + 5);
  EXPECT_EQ(store_.FindSession(first.session.row.sid)->expires_at, clock_.UnixNow() + 60);
}

TEST_F(Sessions, AreNotRenewedOnceEndedOrRevokedOrUnknown) {
  const Minted revoked = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, revoked.session.row.sid, ""}), IsOk());
  EXPECT_THAT(desk_.Renew(revoked.session.row.sid, seconds(60)),
              StatusSays(StatusCode::kFailedPrecondition, "revoked"));
  const Minted ended = MustCreate();
  clock_.Advance(seconds(60));
  EXPECT_THAT(desk_.Renew(ended.session.row.sid, seconds(60)),
              StatusSays(StatusCode::kFailedPrecondition, "ended"));
  EXPECT_THAT(desk_.Renew("nobody", seconds(60)), StatusIs(StatusCode::kNotFound));
}

TEST_F(Sessions, AreListedWithTheirStanding) {
  const Minted live = MustCreate();
  const Minted revoked = MustCreate("bob");
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSubject, "bob", ""}), IsOk());
  const auto views = desk_.List();
  ASSERT_THAT(views, IsOk());
  ASSERT_EQ(views->size(), 2U);
  for (const SessionView& view : *views) {
    EXPECT_EQ(view.revoked, view.row.sid == revoked.session.row.sid);
  }
  EXPECT_FALSE(desk_.Show(live.session.row.sid)->revoked);
}

TEST_F(Sessions, RecordEveryAction) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, "leaked"}),
              IsOk());
  const auto events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].activity, "session_created");
  EXPECT_EQ(events[0].sid, minted.session.row.sid);
  EXPECT_EQ(events[1].activity, "session_revoked");
  EXPECT_EQ(events[1].reason, "leaked");
}

TEST_F(Sessions, KeysRotateWithoutAGapAndWithdrawWhenAsked) {
  ASSERT_THAT(desk_.RotateSigningKey(false), IsOk());
  EXPECT_EQ(keys_.generation, 2);
  EXPECT_EQ(edge_.key_publications(), 1);
  EXPECT_EQ(keys_.withdrawn_before, 0);
  ASSERT_THAT(desk_.RotateSigningKey(true), IsOk());
  EXPECT_EQ(edge_.key_publications(), 3);
  EXPECT_GT(keys_.withdrawn_before, clock_.UnixNow());
}

TEST_F(Sessions, KeysAreNotWithdrawnBeforeTheNewOneIsKnown) {
  edge_.AnswerPublishKeys(base::MakeStatus(StatusCode::kUnavailable, "no answer"));
  EXPECT_THAT(desk_.RotateSigningKey(true), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(keys_.withdrawn_before, 0);
}

TEST_F(Sessions, TidyForgetsOnlyWhatCanStopNothingAnyMore) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSubject, "carol", ""}), IsOk());
  clock_.Advance(seconds(60 + 60 + 60));
  ASSERT_THAT(desk_.Tidy(), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  clock_.Advance(seconds(3601));
  ASSERT_THAT(desk_.Tidy(), IsOk());
  EXPECT_EQ(denylist_.Read().size(), 1U);
  EXPECT_TRUE(denylist_.Read().Contains(revocation::Kind::kSubject, "carol"));
  EXPECT_THAT(desk_.Show(minted.session.row.sid), StatusIs(StatusCode::kNotFound));
}

TEST_F(Sessions, TidyForgetsNothingBecauseTheClockWasSetForward) {
  clock_.Advance(seconds(3600));
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  clock_.StepWall(std::chrono::hours(48));
  ASSERT_THAT(desk_.Tidy(), IsOk());
  clock_.StepWall(-std::chrono::hours(48));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  EXPECT_EQ(desk_.live_sessions(), 1U);
}

TEST_F(Sessions, TidyForgetsNothingByAClockThatWasAheadAtTheStart) {
  const Minted minted = MustCreate();
  ASSERT_THAT(revocations_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  clock_.StepWall(std::chrono::hours(48));
  SessionDesk restarted({edge_, keys_, revocations_, store_, worker_, recorder_, metrics_, clock_},
                        {});
  ASSERT_THAT(restarted.Load(), IsOk());
  clock_.Advance(seconds(3599));
  ASSERT_THAT(restarted.Tidy(), IsOk());
  clock_.StepWall(-std::chrono::hours(48));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  clock_.Advance(seconds(60));
  ASSERT_THAT(restarted.Tidy(), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
}

}  // namespace
}  // namespace exeat::ops
