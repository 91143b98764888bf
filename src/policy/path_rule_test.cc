#include "policy/path_rule.h"

#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

bool Matches(std::string_view pattern, std::string_view path) {
  const auto rule = PathRule::Parse(pattern);
  EXPECT_TRUE(rule) << pattern << ": " << PathRuleObjection(pattern);
  return rule && rule->Matches(path);
}

TEST(PathRule, AnExactRuleMatchesThatPathAlone) {
  EXPECT_TRUE(Matches("/v1/messages", "/v1/messages"));
  EXPECT_TRUE(Matches("/v1/messages", "/v1/messages?beta=true"));
  EXPECT_TRUE(Matches("/v1/messages", "/v1/messages?next=/../x//%2f#"));
  for (const std::string_view path :
       {"/v1/messages/", "/v1/message", "/v1/messages2", "/V1/messages", "/v1/messages;x",
        "/v1/messages/x", "v1/messages", "", "?/v1/messages", "/v1/messages%20"}) {
    EXPECT_FALSE(Matches("/v1/messages", path)) << path;
  }
}

TEST(PathRule, APrefixMatchesWhatIsInsideAndNotItsNeighbours) {
  for (const std::string_view path : {"/v1/", "/v1/x", "/v1/x/y", "/v1/x?q=1", "/v1/...", "/v1/.a",
                                      "/v1/a;b", "/v1/%20", "/v1/a..b"}) {
    EXPECT_TRUE(Matches("/v1/**", path)) << path;
  }
  for (const std::string_view path : {"/v1", "/v10", "/v10/x", "/v1;x/y", "/", "/x/v1/y"}) {
    EXPECT_FALSE(Matches("/v1/**", path)) << path;
  }
}

TEST(PathRule, TheWidestRuleMatchesEveryNormalPath) {
  for (const std::string_view path : {"/", "/x", "/x/y/", "/?q"}) {
    EXPECT_TRUE(Matches("/**", path)) << path;
  }
  for (const std::string_view path : {"", "*", "http://example.com/", "x"}) {
    EXPECT_FALSE(Matches("/**", path)) << path;
  }
}

TEST(PathRule, NothingMatchesWhatANormalisedPathCannotHold) {
  for (const std::string_view path :
       {"/v1/../admin",   "/v1/..",         "/v1/.",        "/v1/./x",      "/v1/..;/admin",
        "/v1/.;/x",       "/v1/..;x/admin", "/v1//x",       "/v1/%2e%2e/",  "/v1/.%2e/admin",
        "/v1/%2E",        "/v1/%2fadmin",   "/v1/%2Fadmin", "/v1/%5cx",     "/v1/\\admin",
        "/v1/x#fragment", "/v1/%00",        "/v1/%0d%0a",   "/v1/a b",      "/v1/a\tb",
        "/v1/%",          "/v1/%2",         "/v1/%zz",      "/v1/\xc3\xa9", "//v1/x",
        "/v1/x\x7f"}) {
    EXPECT_FALSE(Matches("/v1/**", path)) << path;
    EXPECT_FALSE(Matches("/**", path)) << path;
  }
  EXPECT_FALSE(Matches("/**", std::string_view("/v1/\0x", 6)));
}

TEST(PathRule, RefusesPatternsThatCouldNotMatchOrMeanAnother) {
  for (const std::string_view pattern :
       {"",        "v1",      "*",       "**",        "/*",     "/v1/*", "/v1**",
        "/**/x",   "/*/x/**", "/v1/***", "/v1/**/**", "/v1?x",  "/v1#x", "/v1//x",
        "//",      "//**",    "/v1/..",  "/v1/../x",  "/./x",   "/v1/.", "/..;/x",
        "/v1%2fx", "/v1%2Fx", "/%5c",    "/%2e/x",    "/v1\\x", "/a b",  "/\xc3\xa9",
        "/%41",    "/%7E",    "/%zz",    "/%",        "/%00"}) {
    EXPECT_FALSE(PathRule::Parse(pattern)) << pattern;
    EXPECT_NE(PathRuleObjection(pattern), "") << pattern;
  }
  EXPECT_FALSE(PathRule::Parse("/" + std::string(4096, 'x')));
}

TEST(PathRule, TakesPlainAndEscapedPatterns) {
  for (const std::string_view pattern :
       {"/", "/**", "/v1/**", "/a%20b", "/v1/messages", "/a;b", "/%C3%A9", "/~x/", "/v1/a:b"}) {
    EXPECT_TRUE(PathRule::Parse(pattern)) << PathRuleObjection(pattern);
  }
}

TEST(PathRule, ADefaultConstructedRuleMatchesNothing) {
  EXPECT_FALSE(PathRule().Matches("/"));
  EXPECT_FALSE(PathRule().Matches(""));
}

TEST(PathOnly, EndsAtTheFirstQuestionMark) {
  EXPECT_EQ(PathOnly("/a?b?c"), "/a");
  EXPECT_EQ(PathOnly("/a"), "/a");
  EXPECT_EQ(PathOnly("?"), "");
}

}  // namespace
}  // namespace exeat::policy
