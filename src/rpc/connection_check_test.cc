#include "rpc/connection_check.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/check_facts.h"

namespace exeat::rpc {
namespace {

using ::envoy::config::core::v3::Address;
using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kDenied = 7;

class ConnectionCheckTest : public ::testing::Test {
 protected:
  ConnectionCheckTest() {
    auto policy = std::make_shared<policy::Policy>();
    policy->posture = policy::Posture::kBump;
    policy->destinations = {{.name = "api", .host = "api.test", .ports = {443}}};
    policy_ = policy;
    snapshot_.policy = policy_;
    snapshot_.policy_revision = 5;
    SetAddress(Attributes().mutable_source()->mutable_address(), "192.0.2.7", 40000);
    SetAddress(Attributes().mutable_destination()->mutable_address(), "10.200.255.1", 3129);
    Attributes().mutable_destination()->set_service("api.test");
  }

  ::envoy::service::auth::v3::AttributeContext& Attributes() {
    return *request_.mutable_attributes();
  }
  static void SetAddress(Address* address, const std::string& ip, std::uint32_t port) {
    address->mutable_socket_address()->set_address(ip);
    address->mutable_socket_address()->set_port_value(port);
  }

  int Ask() {
    const ConnectionCheck server(
        {.snapshot = [this] { return std::make_shared<authz::Snapshot>(snapshot_); },
         .record =
             [this](const audit::Event& event) {
               recorded_.push_back(std::string(event.reason) + " " + std::string(event.host) + " " +
                                   std::string(event.source));
               EXPECT_FALSE(event.allowed);
               EXPECT_EQ(event.policy_revision, 5u);
               return record_;
             },
         .admit_name =
             [this](const base::SocketEnd& source, std::string_view host) {
               if (throws_) throw std::runtime_error("broken");
               asked_.emplace_back(source, host);
               return admit_;
             },
         .connected =
             [this](const Connection& connection, std::string_view peer) {
               connected_.push_back(std::string(peer));
               EXPECT_EQ(connection.local.port, 3129);
               EXPECT_EQ(connection.remote.port, 40000);
             },
         .refused = [this](authz::Reason reason) { counted_.emplace_back(authz::Code(reason)); }});
    CheckResponse response;
    server.Answer(request_, response);
    EXPECT_FALSE(response.has_ok_response());
    return response.status().code();
  }

  policy::PolicyPtr policy_;
  authz::Snapshot snapshot_;
  CheckRequest request_;
  bool admit_ = true;
  bool throws_ = false;
  base::Status record_;
  std::vector<std::string> recorded_, connected_, counted_;
  std::vector<std::pair<base::SocketEnd, std::string>> asked_;
};

TEST_F(ConnectionCheckTest, AListedNameIsLetInAndItsSocketIsTold) {
  EXPECT_EQ(Ask(), 0);
  EXPECT_THAT(connected_, ElementsAre("192.0.2.7:40000"));
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].second, "api.test");
  EXPECT_EQ(asked_[0].first, ConnectionOf(request_)->remote);
  EXPECT_THAT(recorded_, IsEmpty());
  EXPECT_THAT(counted_, IsEmpty());
}

TEST_F(ConnectionCheckTest, AnUnlistedNameOrNoneIsRecordedAndChargesNobody) {
  for (const char* name : {"evil.test", "", "API.test", "api.test."}) {
    Attributes().mutable_destination()->set_service(name);
    EXPECT_EQ(Ask(), kDenied) << name;
    EXPECT_EQ(recorded_.back(),
              "destination_not_allowed " + std::string(name) + " 192.0.2.7:40000");
  }
  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_THAT(connected_, IsEmpty());
  EXPECT_EQ(counted_.size(), 4u);
}

TEST_F(ConnectionCheckTest, ASourceThatBringsTooManyNamesIsRateLimited) {
  admit_ = false;
  EXPECT_EQ(Ask(), kDenied);
  EXPECT_THAT(recorded_, ElementsAre("rate_limited api.test 192.0.2.7:40000"));
  EXPECT_THAT(counted_, ElementsAre("rate_limited"));
  EXPECT_THAT(connected_, IsEmpty());
}

TEST_F(ConnectionCheckTest, ADenialThatCannotBeRecordedIsADenial) {
  record_ = base::MakeStatus(base::StatusCode::kUnavailable, "disk full");
  admit_ = false;
  EXPECT_EQ(Ask(), kDenied);
}

TEST_F(ConnectionCheckTest, WithoutAPolicyOrUnderDenyAllNothingIsLetIn) {
  snapshot_.policy = nullptr;
  EXPECT_EQ(Ask(), kDenied);
  auto closed = std::make_shared<policy::Policy>(*policy_);
  closed->posture = policy::Posture::kDenyAll;
  snapshot_.policy = closed;
  EXPECT_EQ(Ask(), kDenied);
  EXPECT_THAT(counted_, ElementsAre("authz_unavailable", "posture_deny_all"));
}

TEST_F(ConnectionCheckTest, AConnectionWithoutTwoTcpEndsIsRefused) {
  Attributes().mutable_destination()->mutable_address()->mutable_envoy_internal_address();
  EXPECT_EQ(Ask(), kDenied);
  EXPECT_THAT(counted_, ElementsAre("authz_unavailable"));
}

TEST_F(ConnectionCheckTest, WhatHasAnHttpRequestIsNeverTakenForAConnection) {
  EXPECT_TRUE(ConnectionCheck::IsAsked(request_));
  Attributes().mutable_request()->mutable_http();
  EXPECT_FALSE(ConnectionCheck::IsAsked(request_));
}

TEST_F(ConnectionCheckTest, WhateverIsThrownIsARefusal) {
  throws_ = true;
  EXPECT_EQ(Ask(), kDenied);
  EXPECT_THAT(counted_, ElementsAre("authz_unavailable"));
}

TEST_F(ConnectionCheckTest, ThePeerReadsAsTheSourceOfItsRequests) {
  for (const char* ip : {"192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"}) {
    SetAddress(Attributes().mutable_source()->mutable_address(), ip, 40000);
    EXPECT_EQ(Ask(), 0);
    EXPECT_EQ(connected_.back(), std::string(ip) + ":40000");
    EXPECT_EQ(FactsOf(request_, 0).source, connected_.back());
  }
}

TEST_F(ConnectionCheckTest, EndsAreInNetworkOrderAndAMappedAddressIsIpv4) {
  SetAddress(Attributes().mutable_source()->mutable_address(), "::ffff:192.0.2.7", 1);
  SetAddress(Attributes().mutable_destination()->mutable_address(), "2001:db8::1", 65535);
  const auto ends = ConnectionOf(request_);
  ASSERT_TRUE(ends.has_value());
  EXPECT_EQ(ends->remote, (base::SocketEnd{.ip = {192, 0, 2, 7}, .port = 1, .is_v4 = true}));
  base::SocketEnd v6{.ip = {0x20, 1, 0xd, 0xb8}, .port = 65535, .is_v4 = false};
  v6.ip[15] = 1;
  EXPECT_EQ(ends->local, v6);
}

TEST_F(ConnectionCheckTest, APortOrAddressOutOfRangeIsNoEnd) {
  for (const std::uint32_t port : {0u, 65536u, 65536u + 443u}) {
    SetAddress(Attributes().mutable_source()->mutable_address(), "192.0.2.7", port);
    EXPECT_FALSE(ConnectionOf(request_).has_value()) << port;
  }
  SetAddress(Attributes().mutable_source()->mutable_address(), "fe80::1%eth0", 443);
  EXPECT_FALSE(ConnectionOf(request_).has_value());
}

}  // namespace
}  // namespace exeat::rpc
