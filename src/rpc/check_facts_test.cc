#include "rpc/check_facts.h"

#include "gtest/gtest.h"
#include "rpc/authz_server.h"

namespace exeat::rpc {
namespace {

using ::envoy::service::auth::v3::CheckRequest;
using ::envoy::service::auth::v3::CheckResponse;

class CheckFactsTest : public testing::Test {
 protected:
  void Header(const std::string& key, const std::string& value) {
    auto* header = request.mutable_attributes()
                       ->mutable_request()
                       ->mutable_http()
                       ->mutable_header_map()
                       ->add_headers();
    header->set_key(key);
    header->set_raw_value(value);
  }
  CheckFacts Read() const { return FactsOf(request, 7); }

  CheckRequest request;
};

TEST_F(CheckFactsTest, AnUnmarkedRequestIsTakenForConnectWhereOnlyConnectCanBeAllowed) {
  EXPECT_EQ(Read().facts.leg, authz::Leg::kConnect);
  Header("x-exeat-leg", "something");
  EXPECT_EQ(Read().facts.leg, authz::Leg::kConnect);
}

TEST_F(CheckFactsTest, ReadsLegTokensTargetAndRequestId) {
  Header("x-exeat-leg", "tunnel");
  Header("x-exeat-tunnel", "Bearer t");
  Header("x-exeat-target", "a.test:443");
  Header("x-exeat-session", "s");
  Header("x-request-id", "id-1");
  request.mutable_attributes()->mutable_tls_session()->set_sni("a.test");
  const CheckFacts check = Read();
  EXPECT_EQ(check.facts.leg, authz::Leg::kTunnel);
  EXPECT_EQ(check.facts.tunnel_token, "Bearer t");
  EXPECT_EQ(check.facts.tunnel_target, "a.test:443");
  EXPECT_EQ(check.facts.session_header, "s");
  EXPECT_EQ(check.facts.sni, "a.test");
  EXPECT_EQ(check.facts.now, 7);
  EXPECT_EQ(check.request_id, "id-1");
}

TEST_F(CheckFactsTest, TellsRepeatedKeysFromRepeatedSessionHeaders) {
  Header("authorization", "Bearer a");
  EXPECT_FALSE(Read().facts.duplicate_credentials);
  Header("authorization", "Bearer b");
  EXPECT_TRUE(Read().facts.duplicate_credentials);
  EXPECT_TRUE(Read().facts.only_key_places_repeat);
  Header("x-exeat-session", "s");
  Header("x-exeat-session", "s");
  EXPECT_TRUE(Read().facts.duplicate_credentials);
  EXPECT_FALSE(Read().facts.only_key_places_repeat);
}

TEST_F(CheckFactsTest, ARepeatedProxyTokenIsADuplicate) {
  Header("proxy-authorization", "Bearer a");
  Header("proxy-authorization", "Bearer a");
  EXPECT_TRUE(Read().facts.duplicate_credentials);
  EXPECT_FALSE(Read().facts.only_key_places_repeat);
}

TEST_F(CheckFactsTest, OnlyTheVerifiedMetadataNamesTheSession) {
  auto& metadata =
      *request.mutable_attributes()->mutable_metadata_context()->mutable_filter_metadata();
  (*metadata["some.other.filter"].mutable_fields())["session"]
      .mutable_struct_value()
      ->mutable_fields()
      ->operator[]("sid")
      .set_string_value("forged");
  EXPECT_EQ(Read().facts.metadata_sid, "");
  (*metadata["envoy.filters.http.jwt_authn"].mutable_fields())["session"]
      .mutable_struct_value()
      ->mutable_fields()
      ->operator[]("sid")
      .set_string_value("s1");
  EXPECT_EQ(Read().facts.metadata_sid, "s1");
}

TEST(RenderVerdict, ADefaultVerdictIsADenialWithItsReason) {
  CheckResponse response;
  RenderVerdict(authz::Verdict(), authz::Leg::kTunnel, "id", &response);
  EXPECT_NE(response.status().code(), 0);
  EXPECT_FALSE(response.has_ok_response());
  EXPECT_EQ(response.denied_response().status().code(), 503);
  EXPECT_EQ(response.denied_response().headers(0).header().value(), "authz_unavailable");
}

TEST(RenderVerdict, OnlyAnAllowedConnectHandsTheTokenOn) {
  authz::Verdict verdict;
  verdict.allowed = true;
  verdict.presented_token = "t";
  CheckResponse response;
  RenderVerdict(verdict, authz::Leg::kTunnel, "id", &response);
  EXPECT_EQ(response.status().code(), 0);
  EXPECT_EQ(response.ok_response().headers_size(), 0);
  RenderVerdict(verdict, authz::Leg::kConnect, "id", &response);
  ASSERT_EQ(response.ok_response().headers_size(), 1);
  EXPECT_EQ(response.ok_response().headers(0).header().value(), "Bearer t");
}

TEST(RenderVerdict, AtConnectAMissingTokenIsAProxyChallenge) {
  authz::Verdict verdict;
  verdict.reason = authz::Reason::kTokenMissing;
  CheckResponse response;
  RenderVerdict(verdict, authz::Leg::kConnect, "id", &response);
  EXPECT_EQ(response.denied_response().status().code(), 407);
  RenderVerdict(verdict, authz::Leg::kTransparent, "id", &response);
  EXPECT_EQ(response.denied_response().status().code(), 401);
}

}  // namespace
}  // namespace exeat::rpc
