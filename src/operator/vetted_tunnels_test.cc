#include "operator/vetted_tunnels.h"

#include <fmt/format.h>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class VettedTunnelsTest : public ::testing::Test {
 protected:
  VettedTunnelsTest() {
    denylist_.Load({}, false);
    tunnels_.Connected();
    tunnels_.SetCuttable(true);
  }

  // As Check does it.
  void Open(const std::string& sid, const std::string& id, bool vetted = true) {
    session::Claims claims;
    claims.sid = sid;
    claims.jti = sid + "-token";
    claims.sub = "agent";
    limits::OpenStream stream;
    stream.claims = std::make_shared<const session::VerifiedClaims>(std::move(claims));
    stream.is_tunnel = true;
    stream.is_vetted = vetted && tunnels_.MayVet();
    streams_.Connected(id, {++cookie_, {}, {}});
    ASSERT_EQ(streams_.Begin(id, id, std::move(stream)), limits::Begun::kOpen);
  }
  void Revoke(const std::string& sid) {
    denylist_.Add({revocation::Kind::kSession, sid});
    tunnels_.Relist();
  }
  // Sessions that the latest cut meant, by stream.
  std::size_t CutBy(std::size_t index) { return streams_.Find(cuts_.at(index)).streams; }

  limits::OpenStreams streams_;
  revocation::Denylist denylist_;
  Metrics metrics_;
  std::uint64_t cookie_ = 0;
  base::Status push_;
  std::vector<std::vector<std::string>> pushed_;
  std::vector<limits::Whose> cuts_;
  VettedTunnels tunnels_{{.streams = streams_,
                          .denylist = denylist_,
                          .push =
                              [this](const std::vector<std::string>& sids) {
                                pushed_.push_back(sids);
                                return push_;
                              },
                          .cut = [this](limits::Whose whose) { cuts_.push_back(std::move(whose)); },
                          .metrics = metrics_}};
};

TEST_F(VettedTunnelsTest, ListEachRevokedSessionThatHasOneOnce) {
  Open("b", "1");
  Open("a", "2");
  Open("a", "3");
  Open("asked", "4", false);
  Open("kept", "5");
  Revoke("asked");
  EXPECT_THAT(pushed_, IsEmpty());
  Revoke("b");
  Revoke("a");
  EXPECT_THAT(pushed_, ElementsAre(ElementsAre("b"), ElementsAre("a", "b")));
}

TEST_F(VettedTunnelsTest, ListTheSessionsOfARevokedTokenASubjectAndAll) {
  Open("a", "1");
  denylist_.Add({revocation::Kind::kTokenId, "a-token"});
  EXPECT_TRUE(tunnels_.Relist());
  Open("b", "2");
  denylist_.Add({revocation::Kind::kSubject, "agent"});
  EXPECT_TRUE(tunnels_.Relist());
  EXPECT_THAT(pushed_.back(), ElementsAre("a", "b"));
  Open("c", "3");
  denylist_.SetEverything(true);
  EXPECT_TRUE(tunnels_.Relist());
  EXPECT_THAT(pushed_.back(), ElementsAre("a", "b", "c"));
}

TEST_F(VettedTunnelsTest, AreForgottenWhenTheyEndAndGivenBackAtOnce) {
  Open("a", "1");
  Open("b", "2");
  Revoke("a");
  Revoke("b");
  streams_.End("1");
  tunnels_.Tidy();
  EXPECT_THAT(pushed_.back(), ElementsAre("a", "b")) << "its socket is still there";
  streams_.Closed({1});
  tunnels_.Tidy();
  EXPECT_THAT(pushed_.back(), ElementsAre("b"));
  denylist_.Remove({revocation::Kind::kSession, "b"});
  EXPECT_TRUE(tunnels_.Relist());
  EXPECT_THAT(pushed_.back(), IsEmpty());
  EXPECT_EQ(tunnels_.listed(), 0u);
}

TEST_F(VettedTunnelsTest, MoreThanTheListHoldsAreAllCutAndNoneIsVetted) {
  for (std::size_t i = 0; i < VettedTunnels::kMostListed; ++i) {
    Open(fmt::format("s{}", i), fmt::format("{}", i));
  }
  Open("kept", "kept");
  denylist_.SetEverything(true);
  tunnels_.Relist();
  EXPECT_EQ(pushed_.back().size(), VettedTunnels::kMostListed);
  ASSERT_EQ(cuts_.size(), 1u);
  EXPECT_EQ(CutBy(0), VettedTunnels::kMostListed + 1);
  EXPECT_FALSE(tunnels_.MayVet());
  for (std::size_t i = 1; i <= VettedTunnels::kMostListed; ++i) streams_.Closed({i});
  tunnels_.Tidy();
  EXPECT_TRUE(tunnels_.MayVet());
  EXPECT_THAT(pushed_.back(), ElementsAre("kept"));
}

TEST_F(VettedTunnelsTest, AreAllCutWhenEnvoyCannotBeToldOrRefusesWhatItIsTold) {
  Open("a", "1");
  Open("asked", "2", false);
  tunnels_.Refused();
  EXPECT_FALSE(tunnels_.MayVet());
  tunnels_.Taken();
  EXPECT_TRUE(tunnels_.MayVet());
  tunnels_.Disconnected();
  EXPECT_FALSE(tunnels_.MayVet());
  ASSERT_EQ(cuts_.size(), 2u);
  EXPECT_EQ(CutBy(0), 1u) << "those that are asked about are not meant";
}

TEST_F(VettedTunnelsTest, AreCutAgainEachSecondWhileNoneMayBeVetted) {
  Open("a", "1");
  for (int tick = 0; tick < 10; ++tick) tunnels_.Tidy();
  EXPECT_THAT(cuts_, IsEmpty());
  tunnels_.Disconnected();
  for (int tick = 0; tick < 20; ++tick) tunnels_.Tidy();
  EXPECT_EQ(cuts_.size(), 3u);
}

TEST_F(VettedTunnelsTest, AListThatCannotBeSentIsOneThatEnvoyRefused) {
  Open("a", "1");
  push_ = base::MakeStatus(base::StatusCode::kInternal, "no");
  Revoke("a");
  EXPECT_EQ(cuts_.size(), 1u);
  EXPECT_FALSE(tunnels_.MayVet());
}

TEST_F(VettedTunnelsTest, NobodyLooksWhereThereIsNone) {
  Revoke("a");
  tunnels_.CutAll("a test");
  EXPECT_THAT(pushed_, IsEmpty());
  EXPECT_THAT(cuts_, IsEmpty());
  Open("a", "1");
  streams_.Closed({1});
  tunnels_.Relist();  // sees that there is none
  tunnels_.CutAll("a test");
  EXPECT_THAT(cuts_, IsEmpty());
  Open("b", "2");
  tunnels_.CutAll("a test");
  EXPECT_EQ(cuts_.size(), 1u);
}

TEST_F(VettedTunnelsTest, AreNoneWhereSocketsCannotBeCut) {
  tunnels_.SetCuttable(false);
  EXPECT_FALSE(tunnels_.MayVet());
}

}  // namespace
}  // namespace exeat::ops
