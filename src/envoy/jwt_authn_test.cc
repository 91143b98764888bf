#include "envoy/jwt_authn.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "envoy/names.h"

namespace exeat::envoy {
namespace {

// The requirement of the first rule that fits a request with these headers.
Json Requirement(const std::map<std::string, std::string>& headers, bool connect = false) {
  const Json filter = JwtBumpFilter({.issuer = "acme-dev", .jwks = "{}"});
  for (const Json& rule : filter["typed_config"]["rules"]) {
    const Json& match = rule["match"];
    if (match.contains("connect_matcher") != connect) continue;
    bool fits = true;
    for (const Json& header : match.value("headers", Json::array())) {
      const auto found = headers.find(header["name"].get<std::string>());
      fits &= found != headers.end() && (header.contains("present_match") ||
                                         header["string_match"]["exact"] == found->second);
    }
    if (fits) return rule["requires"];
  }
  return {};
}

const char* Decisive(const Json& requirement) {
  const std::string text = requirement.dump();
  if (text.find("\"tunnel\"") != std::string::npos) return "tunnel";
  if (text.find("\"header\"") != std::string::npos) return "header";
  return text.find("\"bearer\"") != std::string::npos ? "keys" : "none";
}

TEST(JwtBumpFilter, ReadsTheTunnelsTokenInsideATunnel) {
  EXPECT_STREQ(Decisive(Requirement({{kLegHeader, "tunnel"}})), "tunnel");
  EXPECT_STREQ(Decisive(Requirement({{kLegHeader, "tunnel"}, {kSessionHeader, "x"}})), "tunnel");
}

TEST(JwtBumpFilter, ReadsTheRequestsOwnPlacesOnTheTransparentLeg) {
  EXPECT_STREQ(Decisive(Requirement({{kLegHeader, "transparent"}})), "keys");
  EXPECT_STREQ(Decisive(Requirement({{kLegHeader, "transparent"}, {kSessionHeader, "x"}})),
               "header");
}

// Without a leg there is no tunnel either, so that nothing satisfies the rule.
TEST(JwtBumpFilter, TakesAnUnknownLegForTheStrictestOne) {
  for (const char* leg : {"-", "", "connect", "Transparent", "transparent,tunnel"}) {
    for (const bool connect : {false, true}) {
      EXPECT_STREQ(Decisive(Requirement({{kLegHeader, leg}, {kSessionHeader, "x"}}, connect)),
                   "tunnel")
          << leg;
    }
  }
  EXPECT_STREQ(Decisive(Requirement({})), "tunnel");
  EXPECT_TRUE(Requirement({}).contains("requires_all"));
}

}  // namespace
}  // namespace exeat::envoy
