#include "rpc/delta_stream.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kType[] = "type.googleapis.com/test.Secret";

class FakeSource final : public ResourceSource {
 public:
  VersionedPtr Find(const std::string&, const std::string& name) override {
    const auto found = resources.find(name);
    return found == resources.end() ? nullptr : found->second;
  }
  std::vector<std::string> Names(const std::string&) override {
    std::vector<std::string> names;
    for (const auto& [name, resource] : resources) names.push_back(name);
    return names;
  }
  void Put(const std::string& name, const std::string& version) {
    resources[name] = std::make_shared<Versioned>(Versioned{version, "value of " + name});
  }
  std::map<std::string, VersionedPtr> resources;
};

class DeltaStreamTest : public testing::Test {
 protected:
  std::vector<DeltaReply> Send(DeltaRequest request) {
    request.type_url = kType;
    return stream.Handle(
        request, [this](const std::string&, const std::string& error) { nacks.push_back(error); });
  }
  static std::vector<std::string> NamesOf(const std::vector<DeltaReply>& replies) {
    std::vector<std::string> names;
    for (const DeltaReply& reply : replies) {
      for (const auto& [name, resource] : reply.resources) names.push_back(name);
    }
    return names;
  }

  FakeSource source;
  DeltaStream stream{source};
  std::vector<std::string> nacks;
};

TEST_F(DeltaStreamTest, AFirstRequestWithoutNamesAsksForEverything) {
  source.Put("a", "1");
  source.Put("b", "1");
  EXPECT_THAT(NamesOf(Send({})), ElementsAre("a", "b"));
  source.Put("c", "1");
  EXPECT_THAT(NamesOf(stream.Changed(kType, {"c"})), ElementsAre("c"));
}

TEST_F(DeltaStreamTest, AnEmptyWildcardIsAnsweredToo) {
  const auto reply = Send({});
  ASSERT_EQ(reply.size(), 1u);
  EXPECT_THAT(reply[0].resources, IsEmpty());
}

TEST_F(DeltaStreamTest, EveryNameIsAnsweredAMissingOneByRemoval) {
  source.Put("a", "1");
  DeltaRequest request;
  request.subscribe = {"a", "no"};
  const auto reply = Send(request);
  EXPECT_THAT(NamesOf(reply), ElementsAre("a"));
  EXPECT_THAT(reply.at(0).removed, ElementsAre("no"));
}

TEST_F(DeltaStreamTest, WhatTheClientAlreadyHasIsNotSentAgainAfterAReconnect) {
  source.Put("a", "1");
  source.Put("b", "2");
  DeltaRequest request;
  request.subscribe = {"a", "b"};
  request.initial_versions = {{"a", "1"}, {"b", "1"}};
  EXPECT_THAT(NamesOf(Send(request)), ElementsAre("b"));
}

TEST_F(DeltaStreamTest, AReconnectLearnsWhatWasTakenAwayMeanwhile) {
  DeltaRequest request;
  request.initial_versions = {{"gone", "1"}};
  const auto reply = Send(request);
  EXPECT_THAT(reply.at(0).removed, ElementsAre("gone"));
}

TEST_F(DeltaStreamTest, ANameAskedForAgainIsSentAgain) {
  source.Put("a", "1");
  DeltaRequest request;
  request.subscribe = {"a"};
  EXPECT_THAT(NamesOf(Send(request)), ElementsAre("a"));
  EXPECT_THAT(NamesOf(Send(request)), ElementsAre("a"));
}

TEST_F(DeltaStreamTest, AChangeGoesOnlyToWhoSubscribed) {
  source.Put("a", "1");
  source.Put("b", "1");
  DeltaRequest request;
  request.subscribe = {"a"};
  Send(request);
  source.Put("a", "2");
  source.Put("b", "2");
  EXPECT_THAT(NamesOf(stream.Changed(kType, {"a", "b"})), ElementsAre("a"));
  request.subscribe = {};
  request.unsubscribe = {"a"};
  Send(request);
  source.Put("a", "3");
  EXPECT_THAT(stream.Changed(kType, {"a"}), IsEmpty());
}

TEST_F(DeltaStreamTest, AnUnchangedVersionIsNotPushed) {
  source.Put("a", "1");
  DeltaRequest request;
  request.subscribe = {"a"};
  Send(request);
  EXPECT_THAT(stream.Changed(kType, {"a"}), IsEmpty());
}

TEST_F(DeltaStreamTest, RepliesCountAsUnacknowledgedUntilTheirNonceComesBack) {
  source.Put("a", "1");
  DeltaRequest request;
  request.subscribe = {"a"};
  const auto reply = Send(request);
  EXPECT_EQ(stream.Unacknowledged(), 1u);
  DeltaRequest ack;
  ack.nonce = reply.at(0).nonce;
  EXPECT_THAT(Send(ack), IsEmpty());
  EXPECT_EQ(stream.Unacknowledged(), 0u);
  EXPECT_THAT(nacks, IsEmpty());
}

TEST_F(DeltaStreamTest, ANackIsReportedInTheClientsWords) {
  source.Put("a", "1");
  DeltaRequest request;
  request.subscribe = {"a"};
  const auto reply = Send(request);
  DeltaRequest nack;
  nack.nonce = reply.at(0).nonce;
  nack.error = "no such field";
  Send(nack);
  EXPECT_THAT(nacks, ElementsAre("no such field"));
  EXPECT_EQ(stream.Unacknowledged(), 0u);
}

TEST_F(DeltaStreamTest, CutsWhatIsLargeIntoRepliesThatAreEachAcknowledged) {
  const auto common = std::make_shared<const std::string>(kMaxReplyBytes / 2, 'x');
  for (const char* name : {"a", "b", "c"}) {
    source.resources[name] = std::make_shared<Versioned>(Versioned{"1", "own", common});
  }
  source.resources["d"] =
      std::make_shared<Versioned>(Versioned{"1", std::string(2 * kMaxReplyBytes, 'y')});
  source.Put("e", "1");
  DeltaRequest request;
  request.subscribe = {"a", "b", "gone", "c", "d", "e"};
  const auto replies = Send(request);
  std::vector<std::size_t> sizes;
  for (const DeltaReply& reply : replies) {
    sizes.push_back(reply.resources.size());
    EXPECT_EQ(reply.type_url, kType);
    EXPECT_EQ(reply.removed.size(), &reply == &replies.back() ? 1u : 0u);
  }
  EXPECT_THAT(sizes, ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(NamesOf(replies), ElementsAre("a", "b", "c", "d", "e"));
  for (std::size_t left = replies.size(); left > 0; --left) {
    EXPECT_EQ(stream.Unacknowledged(), left);
    DeltaRequest ack;
    ack.nonce = replies[left - 1].nonce;
    EXPECT_THAT(Send(ack), IsEmpty());
  }
  EXPECT_EQ(stream.Unacknowledged(), 0u);
}

}  // namespace
}  // namespace exeat::rpc
