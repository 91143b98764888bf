#include "base/encoding.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::base {
namespace {

using ::testing::Optional;

struct Vector {
  std::string_view bytes, base64, hex;
};

// RFC 4648 section 10; its base16 is upper case, ours lower.
constexpr Vector kRfc4648[] = {
    {"", "", ""},
    {"f", "Zg==", "66"},
    {"fo", "Zm8=", "666f"},
    {"foo", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "666f6f62"},
    {"fooba", "Zm9vYmE=", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "666f6f626172"},
};

std::string Unpadded(std::string_view text) { return std::string(text.substr(0, text.find('='))); }

std::string EveryByte() {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  return all;
}

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
  for (const auto& [bytes, base64, hex] : kRfc4648) {
    EXPECT_EQ(Base64Encode(bytes), base64);
    EXPECT_THAT(Base64Decode(base64), Optional(std::string(bytes)));
  }
}

TEST(Base64, TakesMissingPaddingButNoWrongOne) {
  for (const auto& [bytes, base64, hex] : kRfc4648) {
    EXPECT_THAT(Base64Decode(Unpadded(base64)), Optional(std::string(bytes)));
  }
  for (const char* wrong : {"=", "==", "====", "Zg=", "Zg===", "Zm8==", "Zm9v=", "Zm9v====", "Z===",
                            "Zg==Zg==", "Z=g=", "=Zg="}) {
    EXPECT_EQ(Base64Decode(wrong), std::nullopt) << wrong;
  }
}

TEST(Base64, RefusesALengthThatNoBytesHave) {
  EXPECT_EQ(Base64Decode("Z"), std::nullopt);
  EXPECT_EQ(Base64Decode("Zm9vY"), std::nullopt);
  EXPECT_EQ(Base64UrlDecode("Zm9vY"), std::nullopt);
}

TEST(Base64, GivesOneSpellingToOneValue) {
  // 'h' differs from 'g' only in bits that stand for nothing.
  EXPECT_EQ(Base64Decode("Zh=="), std::nullopt);
  EXPECT_EQ(Base64Decode("Zm9="), std::nullopt);
  EXPECT_EQ(Base64UrlDecode("Zh"), std::nullopt);
  EXPECT_EQ(Base64UrlDecode("Zm9"), std::nullopt);
}

TEST(Base64, RefusesWhiteSpaceNulAndTheOtherAlphabet) {
  using namespace std::string_view_literals;
  for (const std::string_view wrong :
       {"Zm9v\n"sv, " Zm9v"sv, "Zm 9"sv, "Zm9\0"sv, "-_-_"sv, "Zm9\xc3"sv}) {
    EXPECT_EQ(Base64Decode(wrong), std::nullopt) << wrong;
  }
  for (const std::string_view wrong : {"+/+/"sv, "Zg=="sv, "Zm8="sv, "Zm9v\r\n"sv}) {
    EXPECT_EQ(Base64UrlDecode(wrong), std::nullopt) << wrong;
  }
}

TEST(Base64, CarriesEveryByteThereAndBack) {
  const std::string all = EveryByte();
  EXPECT_THAT(Base64Decode(Base64Encode(all)), Optional(all));
  EXPECT_THAT(Base64UrlDecode(Base64UrlEncode(all)), Optional(all));
  EXPECT_EQ(Base64UrlEncode("\xff\xef\xbe"), "_---");
  EXPECT_EQ(Base64Encode("\xff\xef\xbe"), "/+++");
}

TEST(Base64, UrlFormNeverPads) {
  for (const auto& [bytes, base64, hex] : kRfc4648) {
    EXPECT_EQ(Base64UrlEncode(bytes), Unpadded(base64));
  }
}

TEST(Hex, AgreesWithTheVectorsInLowerCase) {
  for (const auto& [bytes, base64, hex] : kRfc4648) {
    EXPECT_EQ(HexEncode(bytes), hex);
    EXPECT_THAT(HexDecode(hex), Optional(std::string(bytes)));
  }
  EXPECT_THAT(HexDecode(HexEncode(EveryByte())), Optional(EveryByte()));
}

TEST(Hex, RefusesOddLengthUpperCaseAndForeignCharacters) {
  for (const char* wrong : {"6", "666", "6F", "0x66", "6g", " 66", "66\n"}) {
    EXPECT_EQ(HexDecode(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace exeat::base
