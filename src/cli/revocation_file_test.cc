#include "cli/revocation_file.h"

#include "base/testing/status_matchers.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "operator/revocations.h"

namespace exeat::cli {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusSays;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Parsed(const std::string& text) {
  const auto all = ParseRevocations(text, "leaked.txt");
  EXPECT_THAT(all, IsOk());
  std::vector<std::string> words;
  for (const ops::v1::Revocable& what : all.ok() ? *all : std::vector<ops::v1::Revocable>()) {
    words.push_back(ops::v1::RevokedKind_Name(what.kind()).substr(13) + " " + what.id());
  }
  return words;
}

std::string Refusal(const std::string& text) {
  const auto all = ParseRevocations(text, "leaked.txt");
  EXPECT_EQ(all.status().code(), StatusCode::kInvalidArgument) << text;
  return base::Message(all.status());
}

TEST(RevocationFile, KnowsEveryKindAndTakesABareIdForASession) {
  EXPECT_THAT(Parsed("s1\nsession s2\nsub alice\njti j1"),
              ::testing::ElementsAre("SESSION s1", "SESSION s2", "SUBJECT alice", "TOKEN_ID j1"));
}

TEST(RevocationFile, PassesOverBlankLinesCommentsSpacesAndRepetitions) {
  EXPECT_THAT(Parsed("\n  # why: a#b\n\t s1 \r\nsub \t alice\n#s2\ns1\nsession s1\n\n"),
              ::testing::ElementsAre("SESSION s1", "SUBJECT alice"));
}

TEST(RevocationFile, NamesEveryMalformedLineAndGivesNothing) {
  const std::string refusal = Refusal("s1\nuser alice\ns2\nsub\n");
  EXPECT_THAT(refusal, HasSubstr("leaked.txt:2: expected ID, session ID, sub ID or jti ID"));
  EXPECT_THAT(refusal, HasSubstr("leaked.txt:4: "));
  EXPECT_THAT(refusal, HasSubstr("nothing was sent"));
}

TEST(RevocationFile, RefusesWhatNoTokenCanCarry) {
  for (const std::string& line :
       {std::string("sub a b"), std::string("s1,leaked"), std::string("\"s1\""),
        std::string("s1 # leaked"), "jti " + std::string(129, 'j'), std::string("s\x7f"),
        std::string("\xef\xbb\xbfs1"), std::string("s\0x", 3), std::string("all s1")}) {
    EXPECT_THAT(Refusal("# list\n" + line + "\n"), HasSubstr("leaked.txt:2: expected"));
  }
  EXPECT_THAT(Parsed("jti " + std::string(128, 'j')), ::testing::SizeIs(1));
}

TEST(RevocationFile, NeverPrintsWhatStandsOnTheLine) {
  EXPECT_THAT(Refusal("Bearer eyJhbGciOi.secret\n"), Not(HasSubstr("eyJ")));
}

TEST(RevocationFile, NamesTenMistakesAndCountsTheRest) {
  std::string text;
  for (int i = 0; i < 25; ++i) text += "user alice\n";
  const std::string refusal = Refusal(text);
  EXPECT_THAT(refusal, HasSubstr("leaked.txt:10: "));
  EXPECT_THAT(refusal, Not(HasSubstr("leaked.txt:11: ")));
  EXPECT_THAT(refusal, HasSubstr("15 lines more"));
}

TEST(RevocationFile, IsAMistakeWhenItNamesNothing) {
  for (const char* text : {"", "\n\n", "# nobody\n"}) {
    EXPECT_THAT(Refusal(text), HasSubstr("leaked.txt: names nothing"));
  }
}

TEST(RevocationFile, NamesAsManyAsOneRequestHoldsAndNoMore) {
  std::string text;
  for (std::size_t i = 0; i < ops::kMaxAtOnce; ++i) text += fmt::format("s{}\n", i);
  EXPECT_THAT(ParseRevocations(text, "leaked.txt"), IsOk());
  EXPECT_THAT(Refusal(text + "one-more\n"), HasSubstr("more than the 100000"));
}

TEST(RevocationFile, SaysThatItIsNotThere) {
  EXPECT_THAT(ReadRevocations("/nowhere/leaked.txt"),
              StatusSays(StatusCode::kNotFound, "/nowhere/leaked.txt"));
  EXPECT_FALSE(ReadRevocations("/tmp").ok());
}

}  // namespace
}  // namespace exeat::cli
