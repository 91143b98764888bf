#include "authz/reason.h"

#include <set>
#include <string>

#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace exeat::authz {
namespace {

struct Expected {
  Reason reason;
  std::string_view code;
  int status;
  bool retry;
};

// Written from the table of denials, not from reason.cc.
constexpr Expected kAll[] = {
    {Reason::kAuthzUnavailable, "authz_unavailable", 503, true},
    {Reason::kTokenMissing, "token_missing", 401, false},
    {Reason::kTokenInvalid, "token_invalid", 401, false},
    {Reason::kTokenExpired, "token_expired", 401, false},
    {Reason::kTokenAudience, "token_audience", 401, false},
    {Reason::kTokenConflict, "token_conflict", 403, false},
    {Reason::kSessionRevoked, "session_revoked", 403, false},
    {Reason::kDenylistStale, "denylist_stale", 503, true},
    {Reason::kDestinationNotAllowed, "destination_not_allowed", 403, false},
    {Reason::kPortNotAllowed, "port_not_allowed", 403, false},
    {Reason::kGrantMissing, "grant_missing", 403, false},
    {Reason::kMethodNotAllowed, "method_not_allowed", 403, false},
    {Reason::kPathNotAllowed, "path_not_allowed", 403, false},
    {Reason::kAddressDenied, "address_denied", 403, false},
    {Reason::kAuthorityMismatch, "authority_mismatch", 421, false},
    {Reason::kRateLimited, "rate_limited", 429, true},
    {Reason::kConcurrencyLimited, "concurrency_limited", 429, true},
    {Reason::kPostureDenyAll, "posture_deny_all", 403, false},
    {Reason::kCredentialUnavailable, "credential_unavailable", 503, true},
    {Reason::kUpstreamTls, "upstream_tls", 502, false},
    {Reason::kUpstreamUnreachable, "upstream_unreachable", 503, true},
    {Reason::kUpstreamTimeout, "upstream_timeout", 504, true},
    {Reason::kCleartextNotAllowed, "cleartext_not_allowed", 403, false},
    {Reason::kAuditUnavailable, "audit_unavailable", 503, true},
    {Reason::kLimiterUnavailable, "limiter_unavailable", 503, true},
    {Reason::kStreamUncuttable, "stream_uncuttable", 503, true},
    {Reason::kRequestMalformed, "request_malformed", 400, false},
};

TEST(Reason, HasTheCodeStatusAndRetryOfTheContract) {
  std::set<std::string_view> codes;
  for (const Expected& expected : kAll) {
    EXPECT_EQ(Code(expected.reason), expected.code);
    EXPECT_EQ(HttpStatus(expected.reason), expected.status) << expected.code;
    EXPECT_EQ(MayRetry(expected.reason), expected.retry) << expected.code;
    EXPECT_GT(Detail(expected.reason).size(), 40U) << expected.code;
    EXPECT_TRUE(codes.insert(expected.code).second) << expected.code << " stands twice";
  }
  EXPECT_EQ(codes.size(), static_cast<std::size_t>(Reason::kRequestMalformed) + 1);
}

TEST(Reason, DefaultsToADenialThatBlamesNobody) { EXPECT_EQ(Reason{}, Reason::kAuthzUnavailable); }

TEST(Reason, OutsideTheEnumerationIsAuthzUnavailable) {
  EXPECT_EQ(Code(static_cast<Reason>(999)), "authz_unavailable");
  EXPECT_EQ(HttpStatus(static_cast<Reason>(-1)), 503);
}

TEST(Reason, IsNeverASuccessStatus) {
  for (const Expected& expected : kAll) EXPECT_GE(HttpStatus(expected.reason), 400);
}

// The page that users read is a table of "| `code` | status ... | yes or no | ...".
TEST(Reason, StandsInDocsDenialsWithItsStatusAndRetry) {
  const auto page = base::ReadFile("docs/denials.md");
  ASSERT_THAT(page, base::IsOk());
  for (const Expected& expected : kAll) {
    const std::string start = "\n| `" + std::string(expected.code) + "` | ";
    const std::size_t at = page->find(start);
    ASSERT_NE(at, std::string::npos) << expected.code;
    const std::string row = page->substr(at + start.size(), page->find('\n', at + 1) - at);
    EXPECT_EQ(row.substr(0, 3), std::to_string(expected.status)) << expected.code;
    EXPECT_EQ(row.find(expected.retry ? "| yes |" : "| no |"), row.find('|')) << expected.code;
  }
}

TEST(DenialBody, HasExactlyTheKeysOfTheContractInTheirOrder) {
  const std::string body = DenialBody(Reason::kGrantMissing, "0f1e-22", 0);
  const auto json = nlohmann::ordered_json::parse(body);
  std::string keys;
  for (const auto& [key, value] : json.items()) keys += key + " ";
  EXPECT_EQ(keys, "error reason detail request_id retry retry_after_s ");
  EXPECT_EQ(json["error"], "denied");
  EXPECT_EQ(json["reason"], "grant_missing");
  EXPECT_EQ(json["detail"], Detail(Reason::kGrantMissing));
  EXPECT_EQ(json["request_id"], "0f1e-22");
  EXPECT_EQ(json["retry"], false);
  EXPECT_EQ(json["retry_after_s"], 0);
}

TEST(DenialBody, PrintsRetryAfterOnlyWhereRetryingHelps) {
  const auto after = [](Reason reason, int seconds) {
    return nlohmann::json::parse(DenialBody(reason, "id", seconds))["retry_after_s"].get<int>();
  };
  EXPECT_EQ(after(Reason::kRateLimited, 17), 17);
  EXPECT_EQ(after(Reason::kGrantMissing, 17), 0);
  EXPECT_EQ(after(Reason::kRateLimited, -3), 0);
}

TEST(DenialBody, StaysOneJsonObjectWhateverTheRequestIdHolds) {
  for (const std::string& id :
       {std::string("a\"b\\c\n\x1b[31m"), std::string("\xff\xfe"), std::string("n\0l", 3)}) {
    const std::string body = DenialBody(Reason::kRequestMalformed, id, 0);
    EXPECT_FALSE(nlohmann::json::parse(body, nullptr, false).is_discarded());
    EXPECT_EQ(body.find('\n'), std::string::npos);
    EXPECT_EQ(body.find('\x1b'), std::string::npos);
  }
}

}  // namespace
}  // namespace exeat::authz
