#include "operator/follower.h"

#include <future>

#include "operator/testing/one_of_edges.h"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using std::chrono::milliseconds;
using std::chrono::seconds;
using store::RevokedKind;

class FollowerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(a_.follower.Start(), IsOk());
    ASSERT_THAT(b_.follower.Start(), IsOk());
  }
  void Break() { store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "gone")); }
  void Mend() { store_.FailWith(absl::OkStatus()); }

  base::FakeClock clock_;
  store::MemoryStore store_;
  OneOfEdges a_{"a", store_, clock_};
  OneOfEdges b_{"b", store_, clock_};
};

TEST_F(FollowerTest, ARevokeIsInForceAtEveryEdgeWhenItIsAnswered) {
  for (int i = 0; i < 20; ++i) {
    const std::string sid = "s" + std::to_string(i);
    const auto revoked = a_.revocations.Revoke({RevokedKind::kSession, sid, ""});
    ASSERT_THAT(revoked, IsOk());
    EXPECT_TRUE(revoked->everywhere);
    EXPECT_EQ(revoked->edges.in_force, 2U);
    EXPECT_TRUE(a_.Denies(sid) && b_.Denies(sid));
  }
  // The cut has begun by then, and each edge records what came of its own.
  EXPECT_GE(b_.edge.cuts().size(), 20U);
}

TEST_F(FollowerTest, ARestoreReachesTheOtherEdges) {
  ASSERT_THAT(a_.revocations.Revoke({RevokedKind::kSession, "s", ""}), IsOk());
  ASSERT_THAT(b_.revocations.Restore({RevokedKind::kSession, "s", ""}), IsOk());
  EXPECT_FALSE(b_.Denies("s"));
  Eventually([&] { return !a_.Denies("s"); });
}

TEST_F(FollowerTest, EverythingIsRevokedAndRestoredEverywhere) {
  ASSERT_THAT(a_.revocations.Revoke({RevokedKind::kAll, "", ""}), IsOk());
  EXPECT_TRUE(b_.denylist.Read().everything());
  ASSERT_THAT(b_.revocations.Restore({RevokedKind::kAll, "", ""}), IsOk());
  Eventually([&] { return !a_.denylist.Read().everything(); });
}

TEST_F(FollowerTest, TheLeaseRunsOutWhileTheStoreIsAwayAndComesBackByItself) {
  EXPECT_TRUE(a_.Serves());
  Break();
  Eventually([&] { return !a_.follower.state().store.ok(); });
  clock_.Advance(milliseconds(999));
  EXPECT_TRUE(a_.Serves());
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(a_.Serves());
  Eventually([&] { return a_.losses == 1; });
  Mend();
  Eventually([&] { return a_.Serves() && a_.follower.state().store.ok(); });
}

TEST_F(FollowerTest, WhatCouldNotBeStoredStaysInForceHereAndNowhereElse) {
  Break();
  const auto revoked = a_.revocations.Revoke({RevokedKind::kSession, "s", ""});
  ASSERT_THAT(revoked, IsOk());
  EXPECT_FALSE(revoked->durable);
  EXPECT_FALSE(revoked->everywhere);
  Mend();
  const std::size_t cuts = a_.edge.cuts().size();
  store_.FailOver();
  Eventually([&] { return a_.edge.cuts().size() > cuts && a_.Serves() && b_.Serves(); });
  EXPECT_TRUE(a_.Denies("s"));
  EXPECT_FALSE(b_.Denies("s"));
  ASSERT_THAT(a_.revocations.Restore({RevokedKind::kSession, "s", ""}), IsOk());
  EXPECT_FALSE(a_.Denies("s"));
}

TEST_F(FollowerTest, AnotherDatabaseIsReadFromTheBeginning) {
  ASSERT_THAT(a_.revocations.Revoke({RevokedKind::kSession, "s", ""}), IsOk());
  const std::size_t cuts = b_.edge.cuts().size();
  store_.FailOver();
  Eventually([&] { return b_.edge.cuts().size() > cuts && b_.Serves(); });
  EXPECT_TRUE(b_.Denies("s"));
  ASSERT_THAT(a_.revocations.Revoke({RevokedKind::kSession, "t", ""}), IsOk());
  EXPECT_TRUE(b_.Denies("t"));
}

TEST_F(FollowerTest, AnEdgeThatHasGoneIsWaitedOut) {
  // As if killed: its lease stays and nobody renews it.
  ASSERT_THAT(store_.RenewLease("gone", store_.ReadAll(0, {}).value()), IsOk());
  auto revoked = std::async(
      std::launch::async, [&] { return a_.revocations.Revoke({RevokedKind::kSession, "s", ""}); });
  while (revoked.wait_for(milliseconds(20)) == std::future_status::timeout) {
    clock_.Advance(milliseconds(100));
  }
  const auto answer = revoked.get();
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->edges.ended, 1U);
  EXPECT_EQ(answer->edges.in_force, 2U);
}

TEST_F(FollowerTest, AnEdgeThatStopsGivesItsLeaseBack) {
  b_.follower.Stop();
  EXPECT_FALSE(b_.Serves());
  EXPECT_EQ(store_.LiveEdges().value().size(), 1U);
}

TEST_F(FollowerTest, TellsOfPoliciesAndSessions) {
  const int before = b_.policies;
  ASSERT_THAT(store_.AppendPolicy("text", "/", 1), IsOk());
  Eventually([&] { return b_.policies > before; });
  ASSERT_THAT(a_.sessions.Create({"alice", {"docs"}, seconds(60)}), IsOk());
  Eventually([&] { return b_.sessions.live_sessions() == 1; });
}

TEST_F(FollowerTest, ASessionRevokedAtOneEdgeIsNotRenewedAtAnother) {
  const auto minted = a_.sessions.Create({"alice", {"docs"}, seconds(60)});
  ASSERT_THAT(minted, IsOk());
  const std::string sid = minted->session.row.sid;
  ASSERT_THAT(b_.sessions.Renew(sid, seconds(60)), IsOk());
  ASSERT_THAT(a_.revocations.Revoke({RevokedKind::kSession, sid, ""}), IsOk());
  EXPECT_THAT(b_.sessions.Renew(sid, seconds(60)), StatusIs(StatusCode::kFailedPrecondition));
  // Whatever another edge was renewing at that moment is covered.
  EXPECT_EQ(store_.ListRevocations()->at(0).expires_at,
            clock_.UnixNow() + kLongestToken.count() + 60);
}

TEST_F(FollowerTest, AKeySignsOnlyWhatEveryEdgeCanVerify) {
  ASSERT_THAT(a_.sessions.Create({"alice", {}, seconds(60)}), IsOk());
  ASSERT_THAT(b_.sessions.Create({"bob", {}, seconds(60)}), IsOk());
  EXPECT_EQ(a_.shared_keys.Jwks(), b_.shared_keys.Jwks());
  const std::string before = b_.shared_keys.Jwks();
  ASSERT_THAT(a_.sessions.RotateSigningKey(false), IsOk());
  EXPECT_NE(b_.shared_keys.Jwks(), before);
  ASSERT_THAT(a_.sessions.RotateSigningKey(true), IsOk());
  EXPECT_EQ(b_.shared_keys.Jwks().size(), before.size());
  EXPECT_EQ(a_.shared_keys.Jwks(), b_.shared_keys.Jwks());
  EXPECT_GT(b_.key_changes, 2);
  Break();
  EXPECT_FALSE(a_.sessions.RotateSigningKey(false).ok());
  Mend();
  EXPECT_TRUE(!a_.shared_keys.IsShared());
  ASSERT_THAT(a_.sessions.Create({"carol", {}, seconds(60)}), IsOk());
  EXPECT_TRUE(a_.shared_keys.IsShared());
  EXPECT_EQ(a_.shared_keys.Jwks(), b_.shared_keys.Jwks());
}

TEST_F(FollowerTest, NoTokenIsSignedByAKeyThatALiveEdgeDoesNotKnow) {
  ASSERT_THAT(store_.RenewLease("slow", store_.ReadAll(0, {}).value()), IsOk());
  auto minted = std::async(std::launch::async,
                           [&] { return a_.sessions.Create({"alice", {}, seconds(60)}); });
  Eventually([&] { return b_.key_changes > 0; });
  EXPECT_EQ(minted.wait_for(milliseconds(60)), std::future_status::timeout);
  ASSERT_THAT(store_.RenewLease("slow", store_.ReadAll(0, {}).value()), IsOk());
  EXPECT_THAT(minted.get(), IsOk());
}

TEST_F(FollowerTest, AKeyThatIsNoneSpoilsNothing) {
  ASSERT_THAT(a_.shared_keys.Share(), IsOk());
  const std::string before = b_.shared_keys.Jwks();
  const auto seq = store_.PutPublicKeys(std::vector<store::PublicKeyRow>{
      {"bad", R"({"kid":"bad","kty":"oct","k":"AAAA"})", clock_.UnixNow() + 60}});
  ASSERT_THAT(seq, IsOk());
  Eventually([&] { return b_.sequence.applied() >= *seq; });
  EXPECT_EQ(b_.shared_keys.Jwks(), before);
}

TEST_F(FollowerTest, AnOlderDeletionDoesNotTakeOutANewerRevoke) {
  const auto deleted = [](std::uint64_t seq) {
    return std::vector<store::Change>{
        {seq, store::RevocationDeleted{{RevokedKind::kSession, "s"}}}};
  };
  b_.follower.Stop();
  const auto revoked = b_.revocations.Revoke({RevokedKind::kSession, "s", ""});
  ASSERT_THAT(revoked, IsOk());
  (void)b_.revocations.Follow(deleted(0));
  EXPECT_TRUE(b_.Denies("s"));
  (void)b_.revocations.Follow(deleted(100));
  EXPECT_FALSE(b_.Denies("s"));
}

}  // namespace
}  // namespace exeat::ops
