#include "resolver/resolver.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "resolver/testing/tiny_dns_server.h"

namespace exeat::resolver {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Mode = TinyDnsServer::Mode;

policy::IpAddress Ip(std::string_view text) { return policy::IpAddress::Parse(text).value(); }

Addresses Of(const std::vector<std::string>& good, const std::vector<std::string>& denied = {}) {
  Addresses addresses;
  for (const std::string& text : good) addresses.good.push_back(Ip(text));
  for (const std::string& text : denied) addresses.denied.push_back(Ip(text));
  std::sort(addresses.good.begin(), addresses.good.end());
  std::sort(addresses.denied.begin(), addresses.denied.end());
  return addresses;
}

// Hears the resolver and lets a test wait for what it says.
class Ear {
 public:
  void Hear(const std::string& host, const Addresses& addresses) {
    base::MutexLock lock(mutex_);
    last_[host] = addresses;
    ++times_[host];
    heard_.NotifyAll();
  }
  bool Await(const std::string& host, const Addresses& addresses) {
    base::MutexLock lock(mutex_);
    while (!last_.contains(host) || last_[host] != addresses) {
      if (!heard_.WaitFor(mutex_, seconds(10))) return false;
    }
    return true;
  }
  int Times(const std::string& host) {
    base::MutexLock lock(mutex_);
    return times_[host];
  }

 private:
  base::Mutex mutex_;
  base::CondVar heard_;
  std::map<std::string, Addresses> last_ GUARDED_BY(mutex_);
  std::map<std::string, int> times_ GUARDED_BY(mutex_);
};

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest() {
    policy_.resolver.upstream = {server_.address()};
    auto resolver = Resolver::Start(
        [this](const std::string& host, const Addresses& addresses) { ear_.Hear(host, addresses); },
        clock_, {.timeout = milliseconds(50), .tries = 1});
    EXPECT_THAT(resolver, base::IsOk());
    resolver_ = *std::move(resolver);
  }

  void List(const std::string& host, std::vector<std::uint16_t> ports = {443}) {
    policy::Destination destination;
    destination.name = host;
    destination.host = host;
    destination.ports = std::move(ports);
    policy_.destinations.push_back(destination);
  }
  // Also makes the resolver look at the clock again.
  void Follow() { resolver_->Follow(std::make_shared<const policy::Policy>(policy_)); }
  void Advance(seconds step) {
    clock_.Advance(step);
    Follow();
  }

  // Returns once this many answers have been taken whole; the test's own time-out is the bound.
  void AwaitDeniedAnswers(std::uint64_t count) const {
    while (resolver_->DeniedAnswers() < count) std::this_thread::yield();
  }

  base::FakeClock clock_;
  TinyDnsServer server_;
  Ear ear_;
  policy::Policy policy_;
  std::unique_ptr<Resolver> resolver_;  // last: its thread uses the others
};

TEST_F(ResolverTest, FindsBothFamilies) {
  server_.Set("a.test", {.addresses = {"9.9.9.9", "8.8.8.8", "2600::1"}});
  List("a.test");
  Follow();
  EXPECT_TRUE(ear_.Await("a.test", Of({"8.8.8.8", "9.9.9.9", "2600::1"})));
  EXPECT_EQ(resolver_->Current().at("a.test"), Of({"8.8.8.8", "9.9.9.9", "2600::1"}));
  EXPECT_EQ(resolver_->DeniedAnswers(), 0U);
}

TEST_F(ResolverTest, FollowsAliases) {
  server_.Set("www.test", {.addresses = {"8.8.8.8"}, .cname = "cdn.example"});
  List("www.test");
  Follow();
  EXPECT_TRUE(ear_.Await("www.test", Of({"8.8.8.8"})));
}

TEST_F(ResolverTest, KeepsThePublicPartOfAMixedAnswerAndReportsTheRest) {
  server_.Set("mixed.test", {.addresses = {"8.8.8.8", "10.1.2.3", "fd00::1", "2600::1"}});
  List("mixed.test");
  Follow();
  EXPECT_TRUE(ear_.Await("mixed.test", Of({"8.8.8.8", "2600::1"}, {"10.1.2.3", "fd00::1"})));
}

TEST_F(ResolverTest, GivesNoAddressToANameThatDoesNotExistOrHasNone) {
  server_.Set("none.test", {.mode = Mode::kNoSuchName});
  server_.Set("empty.test", {});
  List("none.test");
  List("empty.test");
  Follow();
  EXPECT_TRUE(ear_.Await("none.test", Of({})));
  EXPECT_TRUE(ear_.Await("empty.test", Of({})));
}

TEST_F(ResolverTest, GivesNoAddressWhileTheServerIsSilentFailingOrBabbling) {
  server_.Set("silent.test", {.mode = Mode::kSilent});
  server_.Set("failing.test", {.mode = Mode::kServerFailure});
  server_.Set("garbage.test", {.mode = Mode::kGarbage});
  for (const char* host : {"silent.test", "failing.test", "garbage.test"}) List(host);
  Follow();
  EXPECT_TRUE(ear_.Await("silent.test", Of({})));
  EXPECT_TRUE(ear_.Await("failing.test", Of({})));
  EXPECT_TRUE(ear_.Await("garbage.test", Of({})));
}

TEST_F(ResolverTest, AsksAgainAfterAFailureAndRecovers) {
  server_.Set("a.test", {.mode = Mode::kServerFailure});
  List("a.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({})));
  server_.Set("a.test", {.addresses = {"8.8.8.8"}});
  Advance(seconds(1));
  EXPECT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
}

TEST_F(ResolverTest, UsesIpv4WhenOnlyIpv6Fails) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}, .fail_ipv6 = true});
  List("a.test");
  Follow();
  EXPECT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
}

TEST_F(ResolverTest, KeepsAStaleAnswerFor60SecondsAndThenLetsItGo) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}, .ttl_s = 10});
  List("a.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
  server_.Set("a.test", {.mode = Mode::kServerFailure});
  const int before = server_.Queries("a.test");
  Advance(seconds(10));
  ASSERT_TRUE(server_.AwaitQueries("a.test", before + 1));
  EXPECT_EQ(resolver_->Current().at("a.test"), Of({"8.8.8.8"}));
  EXPECT_EQ(ear_.Times("a.test"), 1);
  Advance(seconds(60));
  EXPECT_TRUE(ear_.Await("a.test", Of({})));
}

// The classic: public while it is being checked, loopback when it is dialled.
TEST_F(ResolverTest, DeniesANameThatTurnsToLoopbackAndCountsIt) {
  server_.Set("evil.test", {.addresses = {"8.8.8.8"}, .ttl_s = 0});
  List("evil.test");
  Follow();
  ASSERT_TRUE(ear_.Await("evil.test", Of({"8.8.8.8"})));
  server_.Set("evil.test", {.addresses = {"127.0.0.1"}, .ttl_s = 0});
  Advance(seconds(5));
  EXPECT_TRUE(ear_.Await("evil.test", Of({}, {"127.0.0.1"})));
  EXPECT_TRUE(resolver_->Current().at("evil.test").good.empty());
  AwaitDeniedAnswers(1);
}

TEST_F(ResolverTest, DoesNotAskBeforeTheTtlEnds) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}, .ttl_s = 60});
  server_.Set("later.test", {.addresses = {"9.9.9.9"}});
  List("a.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
  const int asked = server_.Queries("a.test");
  List("later.test");  // its answer shows that the round after the advance is over
  Advance(seconds(59));
  ASSERT_TRUE(ear_.Await("later.test", Of({"9.9.9.9"})));
  EXPECT_EQ(server_.Queries("a.test"), asked);
}

TEST_F(ResolverTest, TellsTheListenerOnlyWhatIsNews) {
  // The private address is there because denied answers are counted also when they are no news.
  server_.Set("a.test", {.addresses = {"8.8.8.8", "9.9.9.9", "10.0.0.1"}, .ttl_s = 5});
  List("a.test");
  Follow();
  AwaitDeniedAnswers(1);
  server_.Set("a.test", {.addresses = {"10.0.0.1", "9.9.9.9", "8.8.8.8"}, .ttl_s = 5});
  Advance(seconds(5));
  AwaitDeniedAnswers(2);
  Advance(seconds(5));
  AwaitDeniedAnswers(3);
  EXPECT_EQ(ear_.Times("a.test"), 1);
}

TEST_F(ResolverTest, TellsTheListenerAgainWhenThePolicyDialsTheNameOtherwise) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}, .ttl_s = 300});
  policy_.resolver.hosts["fixed.test"] = {Ip("9.9.9.9")};
  List("a.test");
  List("fixed.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
  ASSERT_TRUE(ear_.Await("fixed.test", Of({"9.9.9.9"})));
  policy_.destinations[0].ports = {443, 8443};
  policy_.destinations[1].name = "renamed";
  List("later.test");  // its answer shows that the new policy was adopted
  Follow();
  ASSERT_TRUE(ear_.Await("later.test", Of({})));
  EXPECT_EQ(ear_.Times("a.test"), 2);
  EXPECT_EQ(ear_.Times("fixed.test"), 2);
}

TEST_F(ResolverTest, TakesFixedAnswersFromThePolicyWithoutAsking) {
  policy_.resolver.hosts["fixed.test"] = {Ip("9.9.9.9"), Ip("8.8.8.8"), Ip("10.0.0.1")};
  policy_.resolver.upstream.clear();
  List("fixed.test");
  Follow();
  EXPECT_TRUE(ear_.Await("fixed.test", Of({"8.8.8.8", "9.9.9.9"}, {"10.0.0.1"})));
  EXPECT_EQ(server_.Queries("fixed.test"), 0);
}

TEST_F(ResolverTest, GivesNoAddressWhenNobodyMayBeAsked) {
  policy_.resolver.upstream.clear();
  List("a.test");
  Follow();
  EXPECT_TRUE(ear_.Await("a.test", Of({})));
}

TEST_F(ResolverTest, AsksItsServerEvenAboutLocalhost) {
  server_.Set("x.localhost", {.addresses = {"8.8.8.8"}});
  server_.Set("localhost", {.addresses = {"9.9.9.9"}});
  List("x.localhost");
  List("localhost");
  Follow();
  EXPECT_TRUE(ear_.Await("x.localhost", Of({"8.8.8.8"})));
  EXPECT_TRUE(ear_.Await("localhost", Of({"9.9.9.9"})));
}

TEST_F(ResolverTest, JudgesAgainWhenThePolicyOpensOrClosesARange) {
  server_.Set("in.test", {.addresses = {"10.0.0.1"}, .ttl_s = 300});
  List("in.test");
  Follow();
  ASSERT_TRUE(ear_.Await("in.test", Of({}, {"10.0.0.1"})));
  policy_.resolver.allow_private = {*policy::Cidr::Parse("10.0.0.0/24")};
  Follow();
  EXPECT_TRUE(ear_.Await("in.test", Of({"10.0.0.1"})));
  policy_.resolver.allow_private.clear();
  Follow();
  EXPECT_TRUE(ear_.Await("in.test", Of({}, {"10.0.0.1"})));
  EXPECT_EQ(server_.Queries("in.test"), 2);
}

TEST_F(ResolverTest, NeverLeadsBackToTheEdgeItself) {
  policy_.resolver.allow_private = {*policy::Cidr::Parse("127.0.0.0/8")};
  policy_.listeners.proxy = policy::SocketAddress::Parse("127.0.0.1:3128");
  policy_.resolver.hosts["same.test"] = {Ip("127.0.0.1"), Ip("127.0.0.2")};
  policy_.resolver.hosts["other.test"] = {Ip("127.0.0.1")};
  List("same.test", {443, 3128});
  List("other.test", {8443});
  Follow();
  EXPECT_TRUE(ear_.Await("same.test", Of({"127.0.0.2"}, {"127.0.0.1"})));
  EXPECT_TRUE(ear_.Await("other.test", Of({"127.0.0.1"})));
}

TEST_F(ResolverTest, ForgetsNamesThatLeaveThePolicy) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}});
  server_.Set("b.test", {.addresses = {"9.9.9.9"}});
  List("a.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
  policy_.destinations.clear();
  List("b.test");
  Follow();
  ASSERT_TRUE(ear_.Await("b.test", Of({"9.9.9.9"})));
  EXPECT_FALSE(resolver_->Current().contains("a.test"));
}

TEST_F(ResolverTest, AsksTheNewServerWhenThePolicyNamesAnother) {
  server_.Set("a.test", {.mode = Mode::kSilent});
  List("a.test");
  Follow();
  ASSERT_TRUE(server_.AwaitQueries("a.test", 1));  // still under way
  TinyDnsServer other;
  other.Set("a.test", {.addresses = {"9.9.9.9"}});
  policy_.resolver.upstream = {other.address()};
  Follow();
  EXPECT_TRUE(ear_.Await("a.test", Of({"9.9.9.9"})));
}

TEST_F(ResolverTest, ResolvesMoreNamesThanItAsksForAtOnce) {
  for (int i = 0; i < 250; ++i) {
    const std::string host = "n" + std::to_string(i) + ".test";
    server_.Set(host, {.addresses = {"8.8.8.8"}});
    List(host);
  }
  Follow();
  for (int i = 0; i < 250; ++i) {
    EXPECT_TRUE(ear_.Await("n" + std::to_string(i) + ".test", Of({"8.8.8.8"}))) << i;
  }
}

TEST_F(ResolverTest, StopsWithLookupsUnderWay) {
  server_.Set("a.test", {.mode = Mode::kSilent});
  List("a.test");
  Follow();
  ASSERT_TRUE(server_.AwaitQueries("a.test", 1));
  resolver_.reset();
}

TEST_F(ResolverTest, FollowsNothingWithoutAPolicy) {
  server_.Set("a.test", {.addresses = {"8.8.8.8"}});
  List("a.test");
  Follow();
  ASSERT_TRUE(ear_.Await("a.test", Of({"8.8.8.8"})));
  resolver_->Follow(nullptr);
  server_.Set("b.test", {.addresses = {"9.9.9.9"}});
  policy_.destinations.clear();
  List("b.test");
  Follow();
  ASSERT_TRUE(ear_.Await("b.test", Of({"9.9.9.9"})));
  EXPECT_FALSE(resolver_->Current().contains("a.test"));
}

}  // namespace
}  // namespace exeat::resolver
