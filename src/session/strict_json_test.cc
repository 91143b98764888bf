#include "session/strict_json.h"

#include <string>

#include "gtest/gtest.h"

namespace exeat::session {
namespace {

TEST(StrictJson, ReadsAnOrdinaryObject) {
  const auto parsed = ParseStrictObject(R"({"a":1,"b":{"a":[1,{"a":2}]},"c":[{"x":1},{"x":2}]} )");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ((*parsed)["b"]["a"][1]["a"], 2);
}

TEST(StrictJson, RefusesAKeyThatStandsTwiceAtAnyDepth) {
  EXPECT_FALSE(ParseStrictObject(R"({"a":1,"a":1})").has_value());
  EXPECT_FALSE(ParseStrictObject(R"({"a":{"b":1,"b":2}})").has_value());
  EXPECT_FALSE(ParseStrictObject(R"({"x":[{"b":1,"b":2}]})").has_value());
  EXPECT_FALSE(ParseStrictObject(R"({"a":1,"\u0061":2})").has_value()) << "escaped spelling";
}

TEST(StrictJson, RefusesWhatIsNotExactlyOneObject) {
  for (const char* text : {"", "null", "[]", "\"a\"", "1", "{", "{}}", "{} {}", "{}x", " {}",
                           "\xef\xbb\xbf{}", "{\"a\":1,}", "{'a':1}", "{\"a\":NaN}",
                           "{/**/\"a\":1}", "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}"}) {
    EXPECT_FALSE(ParseStrictObject(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseStrictObject(std::string("{}\0", 3)).has_value());
  EXPECT_FALSE(ParseStrictObject(std::string("{}\0{}", 5)).has_value());
}

TEST(StrictJson, StopsAtTheDepthCap) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(ParseStrictObject(nested(kMaxJsonDepth)).has_value());
  EXPECT_FALSE(ParseStrictObject(nested(kMaxJsonDepth + 1)).has_value());
  EXPECT_FALSE(ParseStrictObject(nested(100'000)).has_value());
}

}  // namespace
}  // namespace exeat::session
