#include "operator/sessions.h"

#include <future>
#include <thread>

#include "audit/testing/fake_log.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "operator/testing/fake_edge.h"
#include "operator/testing/fake_keys.h"
#include "store/testing/memory_store.h"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using std::chrono::seconds;
using store::RevokedKind;

policy::Policy PolicyWithGrants() {
  policy::Policy policy;
  policy.deployment = "acme";
  policy.sessions.max_lifetime = seconds(600);
  for (const char* grant : {"docs", "mail"}) {
    policy::Destination destination;
    destination.name = grant;
    destination.grant = grant;
    policy.destinations.push_back(destination);
  }
  return policy;
}

class Sessions : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(desk_.Load(), IsOk()); }

  Minted MustCreate(const std::string& sub = "alice") {
    base::StatusOr<Minted> minted = desk_.Create({sub, {"docs"}, seconds(60)});
    EXPECT_THAT(minted, IsOk());
    return std::move(minted).value();
  }
  revocation::Standing StandingOf(const Minted& minted) {
    const store::SessionRow& row = minted.session.row;
    return denylist_.Read().Check({row.sid, row.jti, row.sub});
  }

  base::FakeClock clock_;
  revocation::Denylist denylist_;
  FakeEdge edge_{PolicyWithGrants(), denylist_};
  FakeKeys keys_;
  store::MemoryStore store_;
  audit::FakeLog audit_;
  Metrics metrics_;
  base::Worker worker_{64};
  SessionDesk desk_{{edge_, keys_, denylist_, store_, worker_, audit_, metrics_, clock_},
                    {.max_live_sessions = 3, .margin = seconds(60)}};
};

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
    ASSERT_THAT(desk_.Revoke(revocation), IsOk());
    EXPECT_THAT(desk_.Renew(sid, seconds(60)), StatusSays(StatusCode::kFailedPrecondition, undo));
    ASSERT_THAT(desk_.Restore(revocation), IsOk());
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
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSubject, "alice", "left"}), IsOk());
  EXPECT_THAT(desk_.Create({"alice", {}, seconds(60)}), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(desk_.Create({"bob", {}, seconds(60)}), IsOk());
}

TEST_F(Sessions, AreRefusedWhileEverythingIsRevoked) {
  ASSERT_THAT(desk_.Revoke({RevokedKind::kAll, "", "incident"}), IsOk());
  EXPECT_THAT(desk_.Create({"bob", {}, seconds(60)}), StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_THAT(desk_.Restore({RevokedKind::kAll, "", "over"}), IsOk());
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
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, revoked.session.row.sid, ""}), IsOk());
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
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSubject, "bob", ""}), IsOk());
  const auto views = desk_.List();
  ASSERT_THAT(views, IsOk());
  ASSERT_EQ(views->size(), 2U);
  for (const SessionView& view : *views) {
    EXPECT_EQ(view.revoked, view.row.sid == revoked.session.row.sid);
  }
  EXPECT_FALSE(desk_.Show(live.session.row.sid)->revoked);
}

TEST_F(Sessions, ThatWereRevokedStayRevokedOverARestart) {
  const Minted minted = MustCreate();
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  revocation::Denylist fresh;
  SessionDesk restarted({edge_, keys_, fresh, store_, worker_, audit_, metrics_, clock_}, {});
  ASSERT_THAT(restarted.Load(), IsOk());
  EXPECT_TRUE(fresh.Read().Contains(revocation::Kind::kSession, minted.session.row.sid));
}

TEST_F(Sessions, AreDeniedUntilTheDenylistIsLoaded) {
  revocation::Denylist fresh;
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "corrupt"));
  SessionDesk restarted({edge_, keys_, fresh, store_, worker_, audit_, metrics_, clock_}, {});
  EXPECT_THAT(restarted.Load(), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(fresh.Read().Check({"s", "j", "b"}), revocation::Standing::kNotLoaded);
  store_.FailWith(absl::OkStatus());
  EXPECT_THAT(restarted.Create({"alice", {}, seconds(60)}),
              StatusSays(StatusCode::kUnavailable, "not loaded"));
}

TEST_F(Sessions, RevokeInMemoryThoughTheStoreFailsAndSayThatItIsNotDurable) {
  const Minted minted = MustCreate();
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "disk is gone"));
  const auto revoked = desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_FALSE(revoked->durable);
  EXPECT_THAT(revoked->problem, ::testing::HasSubstr("disk is gone"));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
}

TEST_F(Sessions, RevokeBeforeTheStoreAnswers) {
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
    return desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""});
  });
  while (edge_.denylist_changes() == before) std::this_thread::yield();
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  opened.set_value();
  EXPECT_TRUE(revoked.get()->durable);
}

TEST_F(Sessions, RevokeOfAnUnknownSidIsAcceptedTwice) {
  for (int i = 0; i < 2; ++i) {
    const auto revoked = desk_.Revoke({RevokedKind::kSession, "nobody", ""});
    ASSERT_THAT(revoked, IsOk());
    EXPECT_TRUE(revoked->durable);
  }
  EXPECT_EQ(store_.ListRevocations()->size(), 1U);
}

TEST_F(Sessions, RevocationsOutliveEveryTokenTheyCouldStop) {
  const Minted minted = MustCreate();
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(desk_.Revoke({RevokedKind::kTokenId, "j", ""}), IsOk());
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSubject, "carol", ""}), IsOk());
  ASSERT_THAT(desk_.Revoke({RevokedKind::kAll, "", ""}), IsOk());
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

TEST_F(Sessions, RevocationsThatMakeNoSenseChangeNothing) {
  EXPECT_THAT(desk_.Revoke({RevokedKind::kSession, "", ""}),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(desk_.Revoke({RevokedKind::kAll, "x", ""}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(denylist_.Read().size(), 0U);
  EXPECT_FALSE(denylist_.Read().everything());
}

TEST_F(Sessions, RestoreTakesBackExactlyThatEntry) {
  const Minted minted = MustCreate();
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSubject, "alice", ""}), IsOk());
  ASSERT_THAT(desk_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  ASSERT_THAT(desk_.Restore({RevokedKind::kSubject, "alice", ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kClear);
  EXPECT_THAT(desk_.Restore({RevokedKind::kSubject, "alice", ""}), StatusIs(StatusCode::kNotFound));
}

TEST_F(Sessions, RestoreLeavesTheEntryInForceWhenTheStoreFails) {
  const Minted minted = MustCreate();
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(desk_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
}

TEST_F(Sessions, RestoreTakesBackWhatTheStoreNeverGot) {
  const Minted minted = MustCreate();
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  store_.FailWith(absl::OkStatus());
  EXPECT_THAT(desk_.Restore({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kClear);
}

TEST_F(Sessions, RestoreOvertakenByItsRevokeLeavesMemoryAndStoreAlike) {
  std::promise<void> entered;
  std::promise<void> opened;
  ASSERT_THAT(worker_.TryPost([&] {
    entered.set_value();
    opened.get_future().wait();
  }),
              IsOk());
  entered.get_future().wait();
  const RevocationRequest request{RevokedKind::kSubject, "alice", ""};
  auto restored = std::async(std::launch::async, [&] { return desk_.Restore(request); });
  while (audit_.events().empty()) std::this_thread::yield();
  auto revoked = std::async(std::launch::async, [&] { return desk_.Revoke(request); });
  opened.set_value();
  (void)restored.get();
  ASSERT_THAT(revoked.get(), IsOk());
  EXPECT_EQ(denylist_.Read().Contains(revocation::Kind::kSubject, "alice"),
            store_.ListRevocations()->size() == 1);
}

TEST_F(Sessions, RecordEveryAction) {
  const Minted minted = MustCreate();
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, "leaked"}), IsOk());
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
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSession, minted.session.row.sid, ""}), IsOk());
  ASSERT_THAT(desk_.Revoke({RevokedKind::kSubject, "carol", ""}), IsOk());
  clock_.Advance(seconds(60 + 60 + 60));
  ASSERT_THAT(desk_.Tidy(), IsOk());
  EXPECT_EQ(StandingOf(minted), revocation::Standing::kRevoked);
  clock_.Advance(seconds(3601));
  ASSERT_THAT(desk_.Tidy(), IsOk());
  EXPECT_EQ(denylist_.Read().size(), 1U);
  EXPECT_TRUE(denylist_.Read().Contains(revocation::Kind::kSubject, "carol"));
  EXPECT_THAT(desk_.Show(minted.session.row.sid), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace exeat::ops
