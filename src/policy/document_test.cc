#include "policy/document.h"

#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

DocumentError ErrorOf(std::string_view text) {
  auto parsed = ParseDocument(text);
  const auto* error = std::get_if<DocumentError>(&parsed);
  return error == nullptr ? DocumentError{-1, "accepted"} : *error;
}

TEST(Document, KnowsTheLineOfEachKey) {
  auto parsed = ParseDocument("a: 1\n\nb:\n  c: \"x\"\n  d:\n- e\n");
  ASSERT_TRUE(std::holds_alternative<DocumentError>(parsed));  // the list is no part of the map
  parsed = ParseDocument("a: 1\n\nb:\n  c: \"x\"\n  d:\nf:\n- e\n- {g: h}\n");
  const auto* root = std::get_if<Node>(&parsed);
  ASSERT_NE(root, nullptr);
  EXPECT_EQ(root->keys, (std::vector<std::string>{"a", "b", "f"}));
  EXPECT_EQ(root->children[0].line, 1);
  EXPECT_TRUE(root->children[0].plain);
  const Node& b = root->children[1];
  EXPECT_EQ(b.line, 3);
  EXPECT_EQ(b.children[0].line, 4);
  EXPECT_FALSE(b.children[0].plain);
  EXPECT_EQ(b.children[1].kind, Node::Kind::kNull);
  EXPECT_EQ(b.children[1].line, 5);
  EXPECT_EQ(root->children[2].children[1].line, 8);
}

TEST(Document, KeepsARepeatedKeyToBeReported) {
  auto parsed = ParseDocument("a: 1\na: 2\n");
  ASSERT_TRUE(std::holds_alternative<Node>(parsed));
  EXPECT_EQ(std::get<Node>(parsed).keys, (std::vector<std::string>{"a", "a"}));
}

TEST(Document, RefusesAnEmptyText) {
  for (const std::string_view text : {"", "\n\n", "# only a comment\n", "  "}) {
    EXPECT_NE(ErrorOf(text).message.find("no policy"), std::string::npos) << text;
  }
}

TEST(Document, RefusesASecondDocument) {
  EXPECT_EQ(ErrorOf("a: 1\n---\nb: 2\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\n...\nb: 2\n").line, 3);
  EXPECT_EQ(ErrorOf("{a: 1}\nb\n").line, 2);
  EXPECT_EQ(ErrorOf("---\na: 1\n...\n").line, -1);
}

TEST(Document, RefusesAliasesAnchorsAndTags) {
  EXPECT_EQ(ErrorOf("a: 1\nb: &x 1\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\nb: *x\n").line, 2);
  EXPECT_EQ(ErrorOf("a: !!binary aGk=\n").line, 1);
  EXPECT_EQ(ErrorOf("a: !own x\n").line, 1);
}

TEST(Document, AnAliasBombDiesAtItsFirstAnchor) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_EQ(ErrorOf(bomb).line, 1);
}

TEST(Document, KeepsItsCaps) {
  EXPECT_NE(ErrorOf(std::string(kMaxDocumentBytes + 1, 'a')).message.find("larger"),
            std::string::npos);
  EXPECT_NE(ErrorOf(std::string(200, '[') + std::string(200, ']')).message.find("deeper"),
            std::string::npos);
  for (const char open : {'[', '{'}) {
    EXPECT_NE(ErrorOf(std::string(100'000, open)).message.find("too deeply"), std::string::npos);
  }
  std::string many = "[";
  for (std::size_t i = 0; i <= kMaxDocumentNodes; ++i) many += "a,";
  EXPECT_NE(ErrorOf(many + "]").message.find("more than"), std::string::npos);
}

TEST(Document, NamesTheLineOfWhatIsNotYaml) {
  EXPECT_EQ(ErrorOf("a: 1\n\tb: 2\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\n  \tb: 2\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\nb: c: d\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\nb: @x\n").line, 2);
  EXPECT_EQ(ErrorOf("a: [1,\n").line, 2);
  EXPECT_EQ(ErrorOf("a: 1\nb: \"x\\q\"\n").line, 2);
  EXPECT_EQ(ErrorOf("? [a]\n: b\n").line, 1);
  EXPECT_EQ(ErrorOf("~: b\n").line, 1);
}

TEST(Document, RefusesControlCharactersAndOtherEncodings) {
  EXPECT_EQ(ErrorOf(std::string_view("a: 1\nb: \0x", 10)).line, 2);
  EXPECT_EQ(ErrorOf("a: \x1b[31m").line, 1);
  EXPECT_EQ(ErrorOf(std::string_view("\xff\xfe\x61\x00:\x00", 6)).line, 1);
  EXPECT_EQ(ErrorOf("a: 1\r\nb: 2\r\n").line, -1);
  EXPECT_EQ(ErrorOf("\xef\xbb\xbf\x61: 1\n").line, -1);
}

}  // namespace
}  // namespace exeat::policy
