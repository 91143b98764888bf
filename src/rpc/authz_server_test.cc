#include "rpc/authz_server.h"

#include <set>

#include "authz/testing/small_edge.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "envoy/names.h"

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;

// A server over the small edge, whose hooks write down what they are told.
class AuthzServerTest : public testing::Test {
 protected:
  AuthzServerTest() {
    Publish();
    lease_.HoldUntil(base::BootTime::max());
  }

  void Publish() { snapshot_ = std::make_shared<const authz::Snapshot>(edge_.Read()); }

  void Header(CheckRequest& request, const std::string& key, const std::string& value) {
    auto* http = request.mutable_attributes()->mutable_request()->mutable_http();
    auto* header = http->mutable_header_map()->add_headers();
    header->set_key(key);
    header->set_raw_value(value);
  }
  void SetEnd(::envoy::service::auth::v3::AttributeContext::Peer* peer, const std::string& ip,
              std::uint32_t port) {
    peer->mutable_address()->mutable_socket_address()->set_address(ip);
    peer->mutable_address()->mutable_socket_address()->set_port_value(port);
  }
  CheckRequest Connect(const std::string& token = "A") {
    CheckRequest request;
    auto* http = request.mutable_attributes()->mutable_request()->mutable_http();
    http->set_method("CONNECT");
    http->set_host("open.test:443");
    Header(request, "proxy-authorization", "Bearer " + token);
    Header(request, "x-request-id", "id-1");
    SetEnd(request.mutable_attributes()->mutable_source(), "10.0.0.9", 40000);
    SetEnd(request.mutable_attributes()->mutable_destination(), "10.0.0.1", 3128);
    return request;
  }
  std::string Ask(const CheckRequest& request) {
    CheckResponse response;
    server_.Answer(request, response);
    if (response.has_ok_response()) return "allowed";
    for (const auto& header : response.denied_response().headers()) {
      if (header.header().key() == "x-deny-reason") return header.header().value();
    }
    return "no reason";
  }

  authz::SmallEdge edge_;
  std::shared_ptr<const authz::Snapshot> snapshot_;
  base::FakeClock clock_;
  revocation::Lease lease_;
  base::Status record_ = absl::OkStatus();
  // What the router would be told, in milliseconds; empty: nothing.
  std::string TellsTheRouter() {
    CheckResponse response;
    server_.Answer(Connect(), response);
    EXPECT_TRUE(response.has_ok_response());
    for (const auto& option : response.ok_response().headers()) {
      if (option.header().key() != envoy::kStreamDurationHeader) continue;
      EXPECT_EQ(option.append_action(),
                ::envoy::config::core::v3::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
      return option.header().value();
    }
    return "";
  }
  std::function<limits::Admission()> on_begin_ = [] { return limits::Begun::kOpen; };
  std::vector<std::string> connected_;
  std::vector<limits::OpenStream> begun_;
  std::set<std::string> open_;
  std::vector<audit::Event> recorded_;
  std::vector<bool> may_vet_;  // answered in turn, the last one for good
  const AuthzServer server_{
      {.snapshot = [this] { return snapshot_; },
       .record =
           [this](const audit::Event& event) {
             recorded_.push_back(event);
             return record_;
           },
       .admit_name = [](std::string_view, std::string_view) { return true; },
       .observe = [](authz::Leg, const authz::Verdict&, std::chrono::nanoseconds) {},
       .connected =
           [this](const Connection& connection, std::string_view peer) {
             EXPECT_EQ(connection.remote.port, 40000);
             EXPECT_EQ(connection.local.port, 3128);
             connected_.emplace_back(peer);
           },
       .begin =
           [this](std::string_view, std::string_view id, limits::OpenStream stream) {
             begun_.push_back(std::move(stream));
             const limits::Admission begun = on_begin_();
             if (begun.begun == limits::Begun::kOpen) open_.emplace(id);
             return begun;
           },
       .may_vet =
           [this] {
             const bool may = may_vet_.front();
             if (may_vet_.size() > 1) may_vet_.erase(may_vet_.begin());
             return may;
           },
       .end = [this](std::string_view id) { open_.erase(std::string(id)); },
       .lease = &lease_},
      clock_};
};

TEST_F(AuthzServerTest, RegistersWhatItAllowsUnderItsSessionAndConnection) {
  EXPECT_EQ(Ask(Connect()), "allowed");
  EXPECT_EQ(connected_, std::vector<std::string>{"10.0.0.9:40000"});
  ASSERT_EQ(begun_.size(), 1U);
  EXPECT_EQ(begun_[0].claims->sid, "a");
  EXPECT_EQ(begun_[0].destination->host, "open.test");
  EXPECT_EQ(begun_[0].port, 443);
  EXPECT_TRUE(begun_[0].is_tunnel);
  EXPECT_EQ(open_, std::set<std::string>{"id-1"});
}

TEST_F(AuthzServerTest, RegistersNothingThatItRefuses) {
  EXPECT_EQ(Ask(Connect("nobody's")), "token_invalid");
  EXPECT_TRUE(connected_.empty());
  EXPECT_TRUE(begun_.empty());
}

TEST_F(AuthzServerTest, DeniesEverythingFromTheMomentThatTheLeaseIsOver) {
  lease_.HoldUntil(clock_.BootNow() + std::chrono::nanoseconds(1));
  EXPECT_EQ(Ask(Connect()), "allowed");
  lease_.HoldUntil(clock_.BootNow());
  EXPECT_EQ(Ask(Connect()), "denylist_stale");
  EXPECT_EQ(Ask(Connect("nobody's")), "denylist_stale");
  EXPECT_EQ(recorded_.back().reason, "denylist_stale");
  EXPECT_EQ(begun_.size(), 1U);
}

TEST_F(AuthzServerTest, LooksAtTheLeaseOnceMoreAfterEverythingElse) {
  lease_.HoldUntil(clock_.BootNow() + std::chrono::seconds(1));
  on_begin_ = [this] {
    clock_.Advance(std::chrono::seconds(1));
    return limits::Begun::kOpen;
  };
  EXPECT_EQ(Ask(Connect()), "denylist_stale");
  EXPECT_TRUE(open_.empty());
}

TEST_F(AuthzServerTest, RefusesWhatCouldNotBeCut) {
  on_begin_ = [] { return limits::Begun::kUnknownConnection; };
  EXPECT_EQ(Ask(Connect()), "stream_uncuttable");
  ASSERT_EQ(recorded_.size(), 1U);
  EXPECT_EQ(recorded_[0].reason, "stream_uncuttable");
  EXPECT_FALSE(recorded_[0].allowed);
}

TEST_F(AuthzServerTest, RefusesMoreThanAConnectionMayHaveOpen) {
  on_begin_ = [] { return limits::Begun::kTooMany; };
  EXPECT_EQ(Ask(Connect()), "concurrency_limited");
}

TEST_F(AuthzServerTest, SeesARevokeThatCameBetweenDecisionAndRegistration) {
  on_begin_ = [this] {
    edge_.denylist.Add({revocation::Kind::kSession, "a"});
    Publish();
    return limits::Begun::kOpen;
  };
  EXPECT_EQ(Ask(Connect()), "session_revoked");
  EXPECT_TRUE(open_.empty()) << "a refused stream counts for nobody";
  ASSERT_EQ(recorded_.size(), 1U);
  EXPECT_EQ(recorded_[0].reason, "session_revoked");
}

TEST_F(AuthzServerTest, GoesOnWhenWhatChangedMeanwhileStillAllowsIt) {
  on_begin_ = [this] {
    edge_.denylist.Add({revocation::Kind::kSession, "b"});
    Publish();
    return limits::Begun::kOpen;
  };
  EXPECT_EQ(Ask(Connect()), "allowed");
  EXPECT_EQ(open_.size(), 1U);
}

// What a CONNECT's answer vets, empty when nothing; with `may_vet` asked before and after.
class VettingTest : public AuthzServerTest {
 protected:
  VettingTest() { AskOnce(); }
  void AskOnce() {
    for (auto& destination : edge_.policy.destinations) {
      destination.authorize = policy::Authorize::kConnection;
    }
    Publish();
  }
  std::string Vetted(std::vector<bool> may_vet) {
    may_vet_ = std::move(may_vet);
    CheckResponse response;
    server_.Answer(Connect(), response);
    EXPECT_TRUE(response.has_ok_response());
    const auto& fields = response.dynamic_metadata().fields();
    const auto vetted = fields.find(envoy::kVettedKey);
    if (vetted == fields.end()) return "";
    return vetted->second.string_value() + " by " + fields.at(envoy::kVettedByKey).string_value();
  }
};

TEST_F(VettingTest, VetsATunnelThatIsRegisteredAsOne) {
  EXPECT_EQ(Vetted({true}), "open.test:443 by id-1");
  EXPECT_TRUE(begun_.at(0).is_vetted);
  EXPECT_THAT(recorded_.at(0).detail, testing::HasSubstr("vetted by this intent"));
}

// Its token ends in a minute.
class BoundedTest : public AuthzServerTest {
 protected:
  BoundedTest() {
    session::Claims claims = authz::ClaimsOf("a");
    claims.exp = clock_.UnixNow() + 60;
    edge_.verifier->Accept("A", claims);
    edge_.policy.sessions.skew = std::chrono::seconds(5);
    Publish();
  }
};

TEST_F(BoundedTest, TellsTheRouterWhenToEndWhatCannotBeCutAndNothingElse) {
  EXPECT_EQ(TellsTheRouter(), "");
  on_begin_ = [] {
    return limits::Admission(limits::Begun::kOpen, std::chrono::milliseconds(1500));
  };
  EXPECT_EQ(TellsTheRouter(), "1500");
}

TEST_F(BoundedTest, LetsNothingThatCannotBeCutOutliveItsToken) {
  on_begin_ = [] { return limits::Admission(limits::Begun::kOpen, std::chrono::hours(10)); };
  EXPECT_EQ(TellsTheRouter(), "65000");
  clock_.Advance(std::chrono::seconds(65));
  EXPECT_EQ(TellsTheRouter(), "1") << "none would be no limit";
}

TEST_F(VettingTest, VetsNothingUnlessItMayBeforeAndAfterItIsRegistered) {
  EXPECT_EQ(Vetted({false}), "");
  EXPECT_FALSE(begun_.at(0).is_vetted);
  EXPECT_EQ(Vetted({false, true}), "");
  EXPECT_EQ(Vetted({true, false}), "");
  EXPECT_EQ(recorded_.back().detail, "");
}

TEST_F(VettingTest, VetsNothingThatThePolicyOfTheLastLookDoesNotWantVetted) {
  on_begin_ = [this] {
    edge_.policy = authz::SmallPolicy();
    Publish();
    return limits::Begun::kOpen;
  };
  EXPECT_EQ(Vetted({true}), "");
  on_begin_ = [this] {
    AskOnce();
    return limits::Begun::kOpen;
  };
  EXPECT_EQ(Vetted({true}), "") << "it is not registered as one";
}

TEST_F(VettingTest, VetsNoRequest) {
  may_vet_ = {true};
  CheckRequest request = Connect();
  request.mutable_attributes()->mutable_request()->mutable_http()->set_method("GET");
  Header(request, envoy::kLegHeader, envoy::kLegTransparent);
  CheckResponse response;
  server_.Answer(request, response);
  EXPECT_FALSE(response.has_dynamic_metadata());
}

TEST_F(AuthzServerTest, TakesTheStreamBackWhenItCannotBeRecorded) {
  record_ = base::MakeStatus(base::StatusCode::kUnavailable, "full");
  EXPECT_EQ(Ask(Connect()), "audit_unavailable");
  EXPECT_TRUE(open_.empty());
}

}  // namespace
}  // namespace exeat::rpc
