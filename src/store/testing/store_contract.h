// What every Store does, run over each body of it.
//
// Use:  include in one test file, then INSTANTIATE_TEST_SUITE_P(Name, StoreContract, ...) with a
//       StoreBody for each body.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "store/store.h"

namespace exeat::store {

// One database of a test. Reopen forgets everything that is not stored.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual Store& store() = 0;
  virtual void Reopen() = 0;
};

struct StoreBody {
  std::string name;
  std::function<std::unique_ptr<StoreHarness>()> make;
};

class StoreContract : public testing::TestWithParam<StoreBody> {
 protected:
  Store& store() { return harness_->store(); }
  void Reopen() { harness_->Reopen(); }

  static SessionRow Session(const std::string& sid, base::UnixSeconds created_at = 100,
                            base::UnixSeconds expires_at = 1000) {
    return {sid, "build", "jti-" + sid, {"read", "write"}, created_at, expires_at};
  }
  static RevocationRow Revocation(RevokedKind kind, const std::string& id,
                                  base::UnixSeconds revoked_at = 100,
                                  base::UnixSeconds expires_at = 1000) {
    return {kind, id, "leaked", revoked_at, expires_at};
  }

 private:
  std::unique_ptr<StoreHarness> harness_ = GetParam().make();
};

inline std::string BodyName(const testing::TestParamInfo<StoreBody>& body) {
  return body.param.name;
}

TEST_P(StoreContract, FindsASessionThatWasInserted) {
  ASSERT_THAT(store().InsertSession(Session("a")), base::IsOk());
  Reopen();
  const auto found = store().FindSession("a");
  ASSERT_THAT(found, base::IsOk());
  EXPECT_EQ(*found, Session("a"));
}

TEST_P(StoreContract, KeepsBytesThatAreNotPlainText) {
  SessionRow row = Session("a");
  row.sub = std::string("\0'\"\\%_ \xC3\xA9\n", 11);
  row.grants = {"", "with \"quotes\"", "gr\xC3\xBC\xC3\x9F"};
  ASSERT_THAT(store().InsertSession(row), base::IsOk());
  RevocationRow revocation = Revocation(RevokedKind::kSubject, row.sub);
  revocation.reason = "'; DROP TABLE session; --";
  ASSERT_THAT(store().PutRevocation(revocation), base::IsOk());
  Reopen();
  EXPECT_EQ(store().FindSession("a").value(), row);
  EXPECT_EQ(store().ListRevocations().value(), std::vector{revocation});
}

TEST_P(StoreContract, KeepsASessionWithoutGrants) {
  SessionRow row = Session("a");
  row.grants.clear();
  ASSERT_THAT(store().InsertSession(row), base::IsOk());
  EXPECT_EQ(store().FindSession("a").value(), row);
}

TEST_P(StoreContract, RefusesASidThatIsTakenAndKeepsTheFirst) {
  ASSERT_THAT(store().InsertSession(Session("a")), base::IsOk());
  SessionRow second = Session("a");
  second.sub = "other";
  EXPECT_THAT(store().InsertSession(second), base::StatusIs(base::StatusCode::kAlreadyExists));
  EXPECT_EQ(store().FindSession("a").value().sub, "build");
}

TEST_P(StoreContract, UpdatesEveryFieldOfASession) {
  ASSERT_THAT(store().InsertSession(Session("a")), base::IsOk());
  const SessionRow renewed{"a", "deploy", "jti-2", {"read"}, 150, 2000};
  ASSERT_THAT(store().UpdateSession(renewed), base::IsOk());
  Reopen();
  EXPECT_EQ(store().FindSession("a").value(), renewed);
}

TEST_P(StoreContract, SaysNotFoundForAnUnknownSid) {
  EXPECT_THAT(store().FindSession("a"), base::StatusIs(base::StatusCode::kNotFound));
  EXPECT_THAT(store().UpdateSession(Session("a")), base::StatusIs(base::StatusCode::kNotFound));
  EXPECT_THAT(store().FindSession("a"), base::StatusIs(base::StatusCode::kNotFound));
}

TEST_P(StoreContract, ListsLiveSessionsOldestFirst) {
  for (const SessionRow& row : {Session("late", 300), Session("b", 200), Session("a", 200),
                                Session("ended", 100, 500), Session("just", 400, 501)}) {
    ASSERT_THAT(store().InsertSession(row), base::IsOk());
  }
  const auto rows = store().ListSessions(500);
  ASSERT_THAT(rows, base::IsOk());
  EXPECT_EQ(*rows, (std::vector{Session("a", 200), Session("b", 200), Session("late", 300),
                                Session("just", 400, 501)}));
}

TEST_P(StoreContract, ListsRevocationsOldestFirst) {
  const RevocationRow everything = Revocation(RevokedKind::kAll, "", 300, 0);
  const RevocationRow session = Revocation(RevokedKind::kSession, "x", 200);
  const RevocationRow token = Revocation(RevokedKind::kTokenId, "x", 200);
  for (const RevocationRow& row : {everything, token, session}) {
    ASSERT_THAT(store().PutRevocation(row), base::IsOk());
  }
  Reopen();
  EXPECT_EQ(store().ListRevocations().value(), (std::vector{session, token, everything}));
}

TEST_P(StoreContract, ReplacesARevocationOfTheSameKindAndId) {
  ASSERT_THAT(store().PutRevocation(Revocation(RevokedKind::kSession, "x")), base::IsOk());
  const RevocationRow again{RevokedKind::kSession, "x", "stolen", 170, 0};
  ASSERT_THAT(store().PutRevocation(again), base::IsOk());
  EXPECT_EQ(store().ListRevocations().value(), std::vector{again});
}

TEST_P(StoreContract, DeletesOnlyTheRevocationThatIsNamed) {
  const RevocationRow kept = Revocation(RevokedKind::kTokenId, "x");
  ASSERT_THAT(store().PutRevocation(Revocation(RevokedKind::kSession, "x")), base::IsOk());
  ASSERT_THAT(store().PutRevocation(kept), base::IsOk());
  EXPECT_THAT(store().DeleteRevocation(RevokedKind::kSession, "x"), base::IsOk());
  EXPECT_THAT(store().DeleteRevocation(RevokedKind::kSession, "x"),
              base::StatusIs(base::StatusCode::kNotFound));
  Reopen();
  EXPECT_EQ(store().ListRevocations().value(), std::vector{kept});
}

TEST_P(StoreContract, RefusesARevocationThatCouldStopNothing) {
  EXPECT_THAT(store().PutRevocation(Revocation(RevokedKind::kSubject, "")),
              base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_THAT(store().PutRevocation(Revocation(RevokedKind::kAll, "x")),
              base::StatusIs(base::StatusCode::kInvalidArgument));
  EXPECT_TRUE(store().ListRevocations().value().empty());
}

TEST_P(StoreContract, PrunesWhatEndedBeforeAndKeepsWhatNeverEnds) {
  ASSERT_THAT(store().InsertSession(Session("ended", 1, 499)), base::IsOk());
  ASSERT_THAT(store().InsertSession(Session("ending", 1, 500)), base::IsOk());
  const RevocationRow ending = Revocation(RevokedKind::kSession, "ending", 1, 500);
  const RevocationRow forever = Revocation(RevokedKind::kSubject, "forever", 2, 0);
  for (const RevocationRow& row :
       {ending, forever, Revocation(RevokedKind::kSession, "ended", 1, 499)}) {
    ASSERT_THAT(store().PutRevocation(row), base::IsOk());
  }
  ASSERT_THAT(store().Prune(500), base::IsOk());
  Reopen();
  EXPECT_EQ(store().ListSessions(0).value(), std::vector{Session("ending", 1, 500)});
  EXPECT_EQ(store().ListRevocations().value(), (std::vector{ending, forever}));
}

TEST_P(StoreContract, NumbersPolicyRevisionsFromOneAndKeepsTheLatest) {
  const auto none = store().LatestPolicy();
  ASSERT_THAT(none, base::IsOk());
  EXPECT_FALSE(none->has_value());
  EXPECT_EQ(store().AppendPolicy("deployment: a", "/etc/exeat", 10).value(), 1u);
  EXPECT_EQ(store().AppendPolicy("deployment: b\n", "/srv", 20).value(), 2u);
  Reopen();
  EXPECT_EQ(store().AppendPolicy("deployment: c\n", "/srv", 30).value(), 3u);
  const auto latest = store().LatestPolicy();
  ASSERT_THAT(latest, base::IsOk());
  ASSERT_TRUE(latest->has_value());
  EXPECT_EQ((*latest)->revision, 3u);
  EXPECT_EQ((*latest)->text, "deployment: c\n");
  EXPECT_EQ((*latest)->base_directory, "/srv");
  EXPECT_EQ((*latest)->applied_at, 30);
}

}  // namespace exeat::store
