#include "operator/policies.h"

#include "audit/testing/fake_log.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "operator/testing/fake_edge.h"
#include "store/testing/memory_store.h"

namespace exeat::ops {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

constexpr const char* kTrust = "/etc/ssl/certs/ca-certificates.crt";

PolicySource Source(const std::string& more = "") {
  const std::string text = std::string(R"(version: 1
deployment: acme
state: ./state
listeners: {proxy: 127.0.0.1:3128}
posture: bump
resolver: {hosts: {docs.example.net: [192.0.2.7], new.example.net: [192.0.2.8]}}
upstream_trust: )") + kTrust +
                           R"(
destinations:
- {name: docs, host: docs.example.net}
)" + more;
  return {text, "exeat.yaml", "/srv/edge"};
}

policy::Policy Running() {
  policy::LoadResult loaded = policy::Load(Source().text, "exeat.yaml", "/srv/edge");
  for (const policy::Mistake& mistake : loaded.mistakes) ADD_FAILURE() << mistake.ToString();
  return loaded.policy;
}

class Policies : public ::testing::Test {
 protected:
  std::string Latest() {
    const auto latest = store_.LatestPolicy();
    return latest.ok() && latest->has_value() ? (*latest)->text : "";
  }

  const std::string new_destination_ = "- {name: new, host: new.example.net}\n";
  base::FakeClock clock_;
  revocation::Denylist denylist_;
  FakeEdge edge_{Running(), denylist_};
  store::MemoryStore store_;
  audit::FakeLog audit_;
  Metrics metrics_;
  base::Worker worker_{16};
  Recorder recorder_{audit_, metrics_, [this] { return edge_.Current().policy_revision; }};
  PolicyDesk desk_{{edge_, store_, worker_, recorder_, metrics_, clock_}};
};

TEST_F(Policies, ApplyPublishesThenStores) {
  const auto applied = desk_.Apply(Source(new_destination_));
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->revision, 1U);
  EXPECT_FALSE(applied->changes.empty());
  EXPECT_TRUE(edge_.Current().policy->HasHost("new.example.net"));
  EXPECT_EQ(Latest(), Source(new_destination_).text);
  ASSERT_THAT(desk_.Apply(Source()), IsOk());
  EXPECT_EQ(edge_.Current().policy_revision, 2U);
}

TEST_F(Policies, ApplyOfTheTextInForceMakesNoNewRevisionAndPublishesWhatItsFilesHold) {
  ASSERT_THAT(desk_.Apply(Source(new_destination_)), IsOk());
  const auto again = desk_.Apply(Source(new_destination_));
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->revision, 1U);
  EXPECT_EQ(store_.LatestPolicy()->value().revision, 1U);
  EXPECT_EQ(edge_.published().size(), 2U);
  EXPECT_EQ(edge_.published().back().revision, 1U);
  const auto other = desk_.Apply(Source(new_destination_ + "# a comment\n"));
  ASSERT_THAT(other, IsOk());
  EXPECT_FALSE(other->unchanged);
  EXPECT_EQ(other->revision, 2U);
  PolicySource elsewhere = Source(new_destination_ + "# a comment\n");
  elsewhere.base_directory = "/srv/edge/";
  EXPECT_FALSE(desk_.Apply(elsewhere)->unchanged) << "relative paths start elsewhere";
}

TEST_F(Policies, ApplyOfTheStoredTextIsANewRevisionWhenAnotherOneIsInForce) {
  ASSERT_THAT(store_.AppendPolicy("of another edge", "/srv/edge", 0), IsOk());
  ASSERT_THAT(store_.AppendPolicy(Source().text, Source().base_directory, 0), IsOk());
  const auto applied = desk_.Apply(Source());
  ASSERT_THAT(applied, IsOk());
  EXPECT_FALSE(applied->unchanged);
  EXPECT_EQ(applied->revision, 3U);
}

TEST_F(Policies, ApplyEndsTheStreamsThatItNoLongerAllows) {
  const auto stream = [](const std::string& host, std::vector<std::string> grants) {
    session::Claims claims;
    claims.grants = std::move(grants);
    limits::OpenStream open;
    open.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
    policy::Destination destination;
    destination.host = host;
    open.destination = std::make_shared<const policy::Destination>(std::move(destination));
    open.port = 443;
    return open;
  };
  edge_.AnswerCuts({.open = 2, .uncut = 0});
  const auto applied = desk_.Apply(Source("- {name: new, host: new.example.net, grant: mail}\n"));
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->cut.open, 2U);
  EXPECT_EQ(audit_.events().back().activity, "streams_cut");
  EXPECT_EQ(audit_.events().back().reason, "policy_applied");
  EXPECT_EQ(audit_.events().back().policy_revision, applied->revision);
  ASSERT_EQ(edge_.cuts().size(), 1U);
  const limits::Whose whose = edge_.cuts().front();
  EXPECT_FALSE(whose(stream("docs.example.net", {})));
  EXPECT_FALSE(whose(stream("new.example.net", {"mail"})));
  EXPECT_TRUE(whose(stream("new.example.net", {"docs"}))) << "the grant is asked for now";
  EXPECT_TRUE(whose(stream("gone.example.net", {"mail"}))) << "the destination is gone";
}

TEST_F(Policies, ApplyThatFailsEndsNoStream) {
  edge_.AnswerPublish({base::MakeStatus(StatusCode::kFailedPrecondition, "no")});
  EXPECT_FALSE(desk_.Apply(Source(new_destination_)).ok());
  EXPECT_TRUE(edge_.cuts().empty());
}

TEST_F(Policies, ApplyNamesEveryMistakeAndChangesNothing) {
  const auto applied = desk_.Apply(Source("- {name: docs, host: bad_host}\n"));
  EXPECT_THAT(applied, StatusSays(StatusCode::kInvalidArgument, "exeat.yaml:"));
  EXPECT_TRUE(edge_.published().empty());
  EXPECT_EQ(Latest(), "");
}

TEST_F(Policies, ApplyStoresNothingWhenEnvoyRefuses) {
  edge_.AnswerPublish({base::MakeStatus(StatusCode::kFailedPrecondition, "no such filter")});
  EXPECT_THAT(desk_.Apply(Source(new_destination_)),
              StatusSays(StatusCode::kFailedPrecondition, "no such filter"));
  EXPECT_EQ(Latest(), "");
  EXPECT_FALSE(edge_.Current().policy->HasHost("new.example.net"));
}

TEST_F(Policies, ApplyPublishesNothingWhenTheStoreIsGone) {
  store_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "locked"));
  EXPECT_THAT(desk_.Apply(Source(new_destination_)), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(edge_.published().empty());
}

TEST_F(Policies, ApplyPutsTheFormerOneBackWhenStoringFails) {
  store_.FailPoliciesWith(base::MakeStatus(StatusCode::kUnavailable, "disk full"));
  EXPECT_THAT(desk_.Apply(Source(new_destination_)),
              StatusSays(StatusCode::kUnavailable, "revision 1 is in force again"));
  EXPECT_EQ(edge_.published().size(), 2U);
  EXPECT_FALSE(edge_.Current().policy->HasHost("new.example.net"));
}

TEST_F(Policies, ApplySaysSoWhenTheFormerOneCannotBePutBack) {
  store_.FailPoliciesWith(base::MakeStatus(StatusCode::kUnavailable, "disk full"));
  edge_.AnswerPublish({absl::OkStatus(), base::MakeStatus(StatusCode::kUnavailable, "Envoy gone")});
  EXPECT_THAT(desk_.Apply(Source(new_destination_)),
              StatusSays(StatusCode::kInternal, "could not be put back"));
}

TEST_F(Policies, FollowAppliesWhatAnotherEdgeStoredWithThisEdgesOwnKeys) {
  PolicySource theirs = Source(new_destination_);
  const std::string own = "127.0.0.1:3128";
  theirs.text.replace(theirs.text.find(own), own.size(), "127.0.0.1:3999");
  ASSERT_THAT(store_.AppendPolicy("deployment: old", "/", 1), IsOk());
  ASSERT_THAT(store_.AppendPolicy(theirs.text, "/srv/theirs", 1), IsOk());
  ASSERT_THAT(desk_.Follow(), IsOk());
  const authz::Snapshot now = edge_.Current();
  EXPECT_EQ(now.policy_revision, 2U);
  EXPECT_TRUE(now.policy->HasHost("new.example.net"));
  EXPECT_EQ(now.policy->listeners.proxy->ToString(), own);
  EXPECT_EQ(now.policy->state_dir, "/srv/edge/state");
  EXPECT_EQ(store_.LatestPolicy().value()->revision, 2U);
  EXPECT_EQ(audit_.events().back().activity, "policy_followed");
  EXPECT_EQ(edge_.cuts().size(), 1U);
  ASSERT_THAT(desk_.Follow(), IsOk());
  EXPECT_EQ(edge_.published().size(), 1U);
}

TEST_F(Policies, FollowLeavesTheFormerOneWhereTheirsCannotBeRunHere) {
  PolicySource theirs = Source();
  theirs.text.replace(theirs.text.find("acme"), 4, "evil");
  ASSERT_THAT(store_.AppendPolicy("none", "/", 1), IsOk());
  ASSERT_THAT(store_.AppendPolicy(theirs.text, "/srv/edge", 1), IsOk());
  EXPECT_THAT(desk_.Follow(), StatusSays(StatusCode::kFailedPrecondition, "one deployment"));
  ASSERT_THAT(store_.AppendPolicy("nonsense", "/srv/edge", 1), IsOk());
  EXPECT_THAT(desk_.Follow(), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_TRUE(edge_.published().empty());
}

TEST_F(Policies, OfTwoAppliedAtOnceTheOneStoredLastIsInForceUnderItsNumber) {
  ASSERT_THAT(store_.AppendPolicy(Source().text, "/srv/edge", 1), IsOk());
  store_.BeforeNextPolicy(
      [this] { EXPECT_THAT(store_.AppendPolicy("another edge's", "/", 1), IsOk()); });
  const auto applied = desk_.Apply(Source(new_destination_));
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->revision, 3U);
  EXPECT_EQ(edge_.Current().policy_revision, 3U);
  EXPECT_TRUE(edge_.Current().policy->HasHost("new.example.net"));
}

TEST_F(Policies, ApplyRefusesKeysThatChangeAtRestart) {
  PolicySource source = Source();
  const std::string before = "127.0.0.1:3128";
  source.text.replace(source.text.find(before), before.size(), "127.0.0.1:3999");
  EXPECT_THAT(desk_.Apply(source), StatusSays(StatusCode::kFailedPrecondition, "listeners"));
  EXPECT_TRUE(edge_.published().empty());
  const auto difference = desk_.Diff(source);
  ASSERT_THAT(difference, IsOk());
  EXPECT_FALSE(difference->restart_keys.empty());
}

TEST_F(Policies, ApplyDoesNothingThatIsNotRecorded) {
  audit_.FailWith(base::MakeStatus(StatusCode::kUnavailable, "audit disk full"));
  EXPECT_THAT(desk_.Apply(Source(new_destination_)), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(edge_.published().empty());
}

TEST_F(Policies, ApplyRecordsIntentAndOutcome) {
  edge_.AnswerPublish({base::MakeStatus(StatusCode::kFailedPrecondition, "refused")});
  EXPECT_FALSE(desk_.Apply(Source(new_destination_)).ok());
  const auto events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].phase, audit::Phase::kIntent);
  EXPECT_EQ(events[1].phase, audit::Phase::kOutcome);
  EXPECT_FALSE(events[1].allowed);
}

TEST_F(Policies, DiffOfTheSameIsEmpty) {
  const auto difference = desk_.Diff(Source());
  ASSERT_THAT(difference, IsOk());
  EXPECT_TRUE(difference->changes.empty());
}

}  // namespace
}  // namespace exeat::ops
