#include "audit/json_line.h"

#include <random>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace exeat::audit {
namespace {

std::string Line(std::string_view value, std::size_t limit = kTextLimit) {
  std::string out;
  JsonLine line(out);
  line.Open();
  line.Text("v", value, limit);
  line.Close();
  return out;
}

TEST(JsonLine, EscapesWhatIsNotPlainAscii) {
  EXPECT_EQ(Line("a\"b\\c"), R"({"v":"a\"b\\c"})");
  EXPECT_EQ(Line("a\r\n\x1b[31m\x7f"), R"({"v":"a\u000d\u000a\u001b[31m\u007f"})");
  EXPECT_EQ(Line(std::string_view("\0", 1)), R"({"v":"\u0000"})");
  EXPECT_EQ(Line("\xC3\xA9\xE2\x82\xAC"), R"({"v":"\u00e9\u20ac"})");
  EXPECT_EQ(Line("\xF0\x9F\x98\x80"), R"({"v":"\ud83d\ude00"})");
}

TEST(JsonLine, ReplacesEachByteThatIsNotUtf8) {
  EXPECT_EQ(Line("\xFF"), R"({"v":"\ufffd"})");
  EXPECT_EQ(Line("\xC0\xAF"), R"({"v":"\ufffd\ufffd"})");            // overlong slash
  EXPECT_EQ(Line("\xE0\x80\xAF"), R"({"v":"\ufffd\ufffd\ufffd"})");  // overlong slash
  EXPECT_EQ(Line("\xED\xA0\x80"), R"({"v":"\ufffd\ufffd\ufffd"})");  // surrogate
  EXPECT_EQ(Line("\xF4\x90\x80\x80"), R"({"v":"\ufffd\ufffd\ufffd\ufffd"})");
  EXPECT_EQ(Line("\xE2\x82"), R"({"v":"\ufffd\ufffd"})");  // cut short
  EXPECT_EQ(Line("\xE2z"), R"({"v":"\ufffdz"})");
}

TEST(JsonLine, CutsALongValueBetweenCharactersAndSaysHowMuchIsMissing) {
  EXPECT_EQ(Line("abcdef", 4), R"({"v":"abcd...[+2]"})");
  EXPECT_EQ(Line("abcd", 4), R"({"v":"abcd"})");
  EXPECT_EQ(Line("abc\xC3\xA9z", 4), R"({"v":"abc...[+3]"})");
  EXPECT_EQ(Line(std::string(10, '\x80'), 4), R"({"v":"...[+10]"})");
}

TEST(JsonLine, IsOneLineOfValidJsonWhateverTheBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::string line = Line(bytes);
    ASSERT_TRUE(nlohmann::json::accept(line)) << line;
    for (const char c : line) ASSERT_TRUE(c >= 0x20 && c < 0x7F);
  }
}

TEST(JsonLine, PutsCommasBetweenMembersOnly) {
  std::string out;
  JsonLine line(out);
  line.Open();
  line.Open("a");
  line.Close();
  line.Number("b", 18446744073709551615u);
  line.TextIfAny("c", "");
  line.Raw("\"d\":[1]");
  line.TextIfAny("e", "x");
  line.Close();
  EXPECT_EQ(out, R"({"a":{},"b":18446744073709551615,"d":[1],"e":"x"})");
}

}  // namespace
}  // namespace exeat::audit
