#include "envoy/local_replies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;

// One local reply as Envoy's mappers see it.
struct Reply {
  int status;
  std::string details;
  std::vector<std::string> flags = {};
};

std::string Quoted(const std::string& expression) {
  const auto from = expression.find('\'') + 1;
  return expression.substr(from, expression.rfind('\'') - from);
}

bool CelFits(const std::string& expression, const Reply& reply) {
  const std::string text = Quoted(expression);
  if (expression.find("==") != std::string::npos) return reply.details == text;
  if (expression.find("startsWith") != std::string::npos) return reply.details.starts_with(text);
  return reply.details.find(text) != std::string::npos;
}

bool Fits(const Json& filter, const Reply& reply) {
  if (filter.contains("and_filter")) {
    const Json& all = filter["and_filter"]["filters"];
    return std::all_of(all.begin(), all.end(), [&](const Json& f) { return Fits(f, reply); });
  }
  if (filter.contains("status_code_filter")) {
    const Json& comparison = filter["status_code_filter"]["comparison"];
    const int value = comparison["value"]["default_value"].get<int>();
    return comparison["op"] == "EQ" ? reply.status == value : reply.status >= value;
  }
  if (filter.contains("response_flag_filter")) {
    const Json& flags = filter["response_flag_filter"]["flags"];
    return std::any_of(reply.flags.begin(), reply.flags.end(), [&](const std::string& flag) {
      return std::find(flags.begin(), flags.end(), flag) != flags.end();
    });
  }
  return CelFits(filter["extension_filter"]["typed_config"]["expression"].get<std::string>(),
                 reply);
}

const Json* MapperFor(const Json& config, const Reply& reply) {
  for (const Json& mapper : config["mappers"]) {
    if (Fits(mapper["filter"], reply)) return &mapper;
  }
  return nullptr;
}

std::string Header(const Json& mapper, const std::string& name) {
  for (const Json& header : mapper.value("headers_to_add", Json::array())) {
    if (header["header"]["key"] == name) return header["header"]["value"].get<std::string>();
  }
  return "";
}

// "status reason" of what the guest reads.
std::string Said(const Json& config, const Reply& reply) {
  const Json* mapper = MapperFor(config, reply);
  if (mapper == nullptr) return "nothing";
  return std::to_string(mapper->value("status_code", reply.status)) + " " +
         Header(*mapper, "x-deny-reason");
}

TEST(LocalReplies, CallWhatTheCodecRefusesMalformed) {
  for (const Json& config : {BumpedReplies(), ConnectReplies()}) {
    EXPECT_EQ(Said(config, {501, "http1.invalid_transfer_encoding", {"DPE"}}),
              "400 request_malformed");
    EXPECT_EQ(Said(config, {400, "http1.codec_error", {"DPE"}}), "400 request_malformed");
    EXPECT_EQ(Said(config, {500, "http2.violation.of.messaging.rule"}), "400 request_malformed");
    EXPECT_EQ(Said(config, {431, "http1.headers_too_large", {"DPE"}}), "431 request_malformed");
    EXPECT_EQ(Said(config, {431, "http2.too_many_headers"}), "431 request_malformed");
    EXPECT_EQ(Said(config, {400, "path_normalization_failed"}), "400 request_malformed");
    EXPECT_EQ(Said(config, {426, "low_version"}), "400 request_malformed");
    EXPECT_EQ(Said(config, {408, "request_header_timeout"}), "400 request_malformed");
  }
}

TEST(LocalReplies, BlameTheGuestsOwnSilenceOnNoUpstream) {
  EXPECT_EQ(Said(BumpedReplies(), {408, "stream_idle_timeout", {"SI"}}), "400 request_malformed");
  EXPECT_EQ(Said(BumpedReplies(), {504, "stream_idle_timeout", {"SI"}}), "504 upstream_timeout");
}

TEST(BumpedReplies, TheEndOfAStreamThatCannotBeCutIsNotTheGuestsFault) {
  for (const int status : {408, 504}) {
    EXPECT_EQ(Said(BumpedReplies(), {status, "upstream_max_stream_duration_reached", {"UMSDR"}}),
              "504 upstream_timeout");
  }
}

TEST(LocalReplies, TellAnUpstreamThatIsGoneFromAGuardThatIsGone) {
  const Json config = BumpedReplies();
  EXPECT_EQ(Said(config, {507, "request_payload_exceeded_retry_buffer_limit"}),
            "503 upstream_unreachable");
  EXPECT_EQ(Said(config, {503, "cluster_not_found", {"NC"}}), "503 upstream_unreachable");
  EXPECT_EQ(Said(config, {502, "upstream_reset_before_response_started{protocol_error}", {"UPE"}}),
            "503 upstream_unreachable");
  EXPECT_EQ(Said(config, {500, "no_filter_config_found"}), "503 authz_unavailable");
  EXPECT_EQ(Said(config, {503, "ext_authz_error", {"UAEX"}}), "503 authz_unavailable");
}

// Its status, headers and body are otherwise the origin's.
TEST(LocalReplies, AnswerForAnOriginThatTakesAnUpgradeForAPlainRequest) {
  for (const int status : {200, 204, 302, 304}) {
    const Reply reply = {status, "websocket_handshake_unsuccessful"};
    EXPECT_EQ(Said(BumpedReplies(), reply), "503 upstream_unreachable") << status;
    EXPECT_THAT(MapperFor(BumpedReplies(), reply)->dump(), HasSubstr("did not accept"));
  }
}

TEST(LocalReplies, LeaveWhatCheckAnswered) {
  const Json config = BumpedReplies();
  const Json* mapper = MapperFor(config, {403, "ext_authz_denied", {"UAEX"}});
  ASSERT_NE(mapper, nullptr);
  EXPECT_EQ(mapper->size(), 1u);
}

TEST(LocalReplies, NameTheMethodOfAConnectAndTheAuthorityOfAMisdirectedRequest) {
  const Json config = BumpedReplies();
  EXPECT_EQ(Said(config, {403, "direct_response"}), "403 method_not_allowed");
  EXPECT_EQ(Said(config, {403, "upgrade_failed"}), "403 method_not_allowed");
  EXPECT_EQ(Said(config, {421, "direct_response"}), "421 authority_mismatch");
  EXPECT_EQ(Said(ConnectReplies(), {403, "direct_response"}), "403 cleartext_not_allowed");
}

// jwt_authn writes the request's URL as the realm.
TEST(LocalReplies, ChallengeWithAConstantRealm) {
  const Reply missing = {401, "jwt_authn_access_denied{Jwt_is_missing}"};
  const Json inside = BumpedReplies();
  const Json outside = ConnectReplies();
  EXPECT_EQ(Said(inside, missing), "401 token_missing");
  EXPECT_EQ(Header(*MapperFor(inside, missing), "www-authenticate"), "Bearer realm=\"exeat\"");
  EXPECT_EQ(Said(outside, missing), "407 token_missing");
  EXPECT_EQ(Header(*MapperFor(outside, missing), "proxy-authenticate"), "Basic realm=\"exeat\"");
}

}  // namespace
}  // namespace exeat::envoy
