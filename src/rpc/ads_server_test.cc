#include "rpc/ads_server.h"

#include <grpcpp/server_builder.h>

#include "base/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/fake_envoy.h"

namespace exeat::rpc {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using ::exeat::envoy::kClusterType;
using ::exeat::envoy::kEndpointType;
using ::exeat::envoy::kSecretType;
using ::exeat::envoy::Resource;

constexpr std::chrono::milliseconds kTimeout{20'000};

Resource Make(const std::string& type, const std::string& name, const std::string& value) {
  return {.type_url = type, .name = name, .body = {}, .value = value, .version = "v-" + value};
}

class AdsServerTest : public testing::Test {
 protected:
  AdsServerTest()
      : ads({.leaf = [this](const std::string& name) -> VersionedPtr {
               const auto found = leaves.find(name);
               if (found == leaves.end()) return nullptr;
               return std::make_shared<Versioned>(Versioned{found->second, found->second});
             },
             .nacked = [](const std::string&, const std::string&) {},
             .admit =
                 [this](const std::vector<::exeat::envoy::CompiledIn>& has) {
                   base::MutexLock lock(mutex);
                   shown.push_back(has);
                   return admission;
                 },
             .connected = [](int) {}}) {
    ::grpc::ServerBuilder builder;
    builder.RegisterService(&ads);
    server = builder.BuildAndStart();
  }
  ~AdsServerTest() override { server->Shutdown(base::SystemClock().WallNow()); }

  base::Mutex mutex;
  std::vector<std::vector<::exeat::envoy::CompiledIn>> shown;
  base::Status admission;
  std::map<std::string, std::string> leaves;
  AdsServer ads;
  std::unique_ptr<::grpc::Server> server;
};

TEST_F(AdsServerTest, RefusesToPublishToNobody) {
  EXPECT_THAT(ads.Publish({Make(kClusterType, "a", "1")}, kTimeout),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(AdsServerTest, PublishReturnsWhenEnvoyHasTakenIt) {
  ads.Preload({Make(kClusterType, "a", "1")});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kClusterType, {});
  ASSERT_EQ(envoy.AwaitValue("a", "1"), "1");
  EXPECT_THAT(ads.Publish({Make(kClusterType, "a", "2"), Make(kClusterType, "b", "1")}, kTimeout),
              IsOk());
  EXPECT_EQ(envoy.AwaitValue("a", "2"), "2");
  EXPECT_EQ(envoy.AwaitValue("b", "1"), "1");
  EXPECT_THAT(ads.Publish({Make(kClusterType, "b", "1")}, kTimeout), IsOk());
  EXPECT_EQ(envoy.AwaitValue("a", "(removed)"), "(removed)");
}

TEST_F(AdsServerTest, WhatManyHaveInCommonFollowsWhatIsTheirOwn) {
  const auto common = std::make_shared<const std::string>(" and more");
  Resource cluster = Make(kClusterType, "a", "1");
  cluster.common = common;
  Resource endpoints = Make(kEndpointType, "a:443", "one");
  endpoints.common = common;
  ads.Preload({cluster, Make(kClusterType, "b", "2")});
  ads.Put({endpoints});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kClusterType, {});
  EXPECT_EQ(envoy.AwaitValue("a", "1 and more"), "1 and more");
  EXPECT_EQ(envoy.AwaitValue("b", "2"), "2");
  envoy.Subscribe(kEndpointType, {"a:443"});
  ASSERT_EQ(envoy.AwaitSent("a:443", 1), 1);
  ads.RenewLeases();
  ASSERT_EQ(envoy.AwaitSent("a:443", 2), 2);
  EXPECT_EQ(envoy.AwaitValue("a:443", "one and more"), "one and more");
}

TEST_F(AdsServerTest, ARefusalIsToldInEnvoysWordsAndTheLastGoodIsBack) {
  ads.Preload({Make(kClusterType, "a", "1"), Make(kClusterType, "b", "1")});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kClusterType, {});
  ASSERT_EQ(envoy.AwaitValue("b", "1"), "1");
  EXPECT_THAT(ads.Publish({Make(kClusterType, "a", "2"), Make(kClusterType, "b", "bad")}, kTimeout),
              StatusSays(StatusCode::kFailedPrecondition, "no such thing as bad"));
  EXPECT_EQ(envoy.AwaitValue("a", "1"), "1");
  EXPECT_EQ(envoy.AwaitValue("b", "1"), "1");
}

TEST_F(AdsServerTest, ALeaseIsRenewedByVersionAlone) {
  ads.Put({Make(kEndpointType, "a:443", "one")});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kEndpointType, {"a:443"});
  ASSERT_EQ(envoy.AwaitSent("a:443", 1), 1);
  ads.RenewLeases();
  EXPECT_EQ(envoy.AwaitSent("a:443", 2), 2);
  ads.Put({Make(kEndpointType, "a:443", "one")});
  ads.Put({Make(kEndpointType, "a:443", "two")});
  EXPECT_EQ(envoy.AwaitValue("a:443", "two"), "two");
  EXPECT_EQ(envoy.AwaitSent("a:443", 3), 3);
}

TEST_F(AdsServerTest, AChangedClusterIsGivenItsAddressesAgain) {
  ads.Preload({Make(kClusterType, "a:443", "1")});
  ads.Put({Make(kEndpointType, "a:443", "one")});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kEndpointType, {"a:443"});
  ASSERT_EQ(envoy.AwaitSent("a:443", 1), 1);
  envoy.Subscribe(kClusterType, {});
  ASSERT_EQ(envoy.AwaitSent("a:443", 2), 2);
  EXPECT_THAT(ads.Publish({Make(kClusterType, "a:443", "2")}, kTimeout), IsOk());
  EXPECT_EQ(envoy.AwaitSent("a:443", 4), 4);
}

TEST_F(AdsServerTest, ALeafIsMintedOnDemandAndARefusedNameRemovedAtOnce) {
  leaves["good.test"] = "leaf";
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kSecretType, {"good.test", "evil.test"});
  EXPECT_EQ(envoy.AwaitValue("good.test", "leaf"), "leaf");
  EXPECT_EQ(envoy.AwaitValue("evil.test", "(removed)"), "(removed)");
}

TEST_F(AdsServerTest, AnEnvoyThatLacksSomethingIsGivenNothingAndWaitedForByNobody) {
  admission = base::MakeStatus(StatusCode::kFailedPrecondition, "no such filter");
  ads.Preload({Make(kClusterType, "a", "1")});
  FakeEnvoy envoy(*server);
  envoy.Introduce(kClusterType, {{"filters", "one", false}, {"filters", "off", true}});
  EXPECT_THAT(
      envoy.AwaitEnd(),
      AllOf(testing::Property(&::grpc::Status::error_code, ::grpc::StatusCode::FAILED_PRECONDITION),
            testing::Property(&::grpc::Status::error_message, "no such filter")));
  EXPECT_EQ(envoy.AwaitSent("a", 0), 0);
  EXPECT_EQ(ads.streams(), 0);
  EXPECT_THAT(ads.Publish({Make(kClusterType, "a", "2")}, kTimeout),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(AdsServerTest, AnEnvoyIsAskedOnceAStreamAndWhatIsSwitchedOffIsNotThere) {
  ads.Preload({Make(kClusterType, "a", "1")});
  FakeEnvoy envoy(*server);
  envoy.Introduce(kClusterType, {{"filters", "one", false}, {"filters", "off", true}});
  EXPECT_EQ(envoy.AwaitValue("a", "1"), "1");
  envoy.Subscribe(kEndpointType, {"a:443"});
  ads.Put({Make(kEndpointType, "a:443", "one")});
  EXPECT_EQ(envoy.AwaitValue("a:443", "one"), "one");
  base::MutexLock lock(mutex);
  ASSERT_EQ(shown.size(), 1u);
  ASSERT_EQ(shown[0].size(), 1u);
  EXPECT_EQ(shown[0][0].category, "filters");
  EXPECT_EQ(shown[0][0].name, "one");
  EXPECT_THAT(shown[0][0].types, testing::ElementsAre("type.of.one"));
}

TEST_F(AdsServerTest, WhatIsNoLongerKeptIsTakenAway) {
  ads.Put({Make(kSecretType, "credential:a", "1"), Make(kSecretType, "credential:b", "1")});
  FakeEnvoy envoy(*server);
  envoy.Subscribe(kSecretType, {"credential:a", "credential:b"});
  ASSERT_EQ(envoy.AwaitValue("credential:b", "1"), "1");
  ads.Keep(kSecretType, {"credential:a"});
  EXPECT_EQ(envoy.AwaitValue("credential:b", "(removed)"), "(removed)");
  EXPECT_EQ(envoy.AwaitValue("credential:a", "1"), "1");
}

}  // namespace
}  // namespace exeat::rpc
