#include "crypto/der.h"

#include "base/encoding.h"
#include "gtest/gtest.h"

namespace exeat::crypto::der {
namespace {

std::string Hex(const std::string& bytes) { return base::HexEncode(bytes); }

TEST(DerLength, TakesTheShortestForm) {
  EXPECT_EQ(Hex(Tlv(kOctetString, "")), "0400");
  EXPECT_EQ(Hex(Tlv(kOctetString, std::string(127, 'a'))).substr(0, 4), "047f");
  EXPECT_EQ(Hex(Tlv(kOctetString, std::string(128, 'a'))).substr(0, 6), "048180");
  EXPECT_EQ(Hex(Tlv(kOctetString, std::string(255, 'a'))).substr(0, 6), "0481ff");
  EXPECT_EQ(Hex(Tlv(kOctetString, std::string(256, 'a'))).substr(0, 8), "04820100");
  EXPECT_EQ(Hex(Tlv(kOctetString, std::string(65536, 'a'))).substr(0, 10), "0483010000");
}

TEST(DerLength, IsWhatHeaderSizeSays) {
  for (const std::size_t length : {0U, 1U, 127U, 128U, 255U, 256U, 65535U, 65536U}) {
    std::string header;
    AppendHeader(header, kSequence, length);
    EXPECT_EQ(header.size(), HeaderSize(length)) << length;
  }
}

TEST(DerInteger, IsMinimalAndNeverNegative) {
  EXPECT_EQ(Hex(UnsignedInteger("")), "020100");
  EXPECT_EQ(Hex(UnsignedInteger(std::string(3, '\0'))), "020100");
  EXPECT_EQ(Hex(UnsignedInteger("\x7f")), "02017f");
  EXPECT_EQ(Hex(UnsignedInteger("\x80")), "02020080");
  EXPECT_EQ(Hex(UnsignedInteger(std::string("\0\0\x01\x02", 4))), "02020102");
}

TEST(DerOid, EncodesArcsInBase128) {
  EXPECT_EQ(Hex(Oid({1, 2, 840, 10045, 4, 3, 2})), "06082a8648ce3d040302");  // RFC 5758
  EXPECT_EQ(Hex(Oid({2, 5, 29, 17})), "0603551d11");
  EXPECT_EQ(Hex(Oid({2, 999, 3})), "0603883703");  // X.690 8.19.5
}

TEST(DerBoolean, UsesAllOnesForTrue) {
  EXPECT_EQ(Hex(Boolean(true)), "0101ff");
  EXPECT_EQ(Hex(Boolean(false)), "010100");
}

TEST(DerBitString, StatesNoUnusedBits) { EXPECT_EQ(Hex(BitString("\xa5")), "030200a5"); }

TEST(DerSequence, JoinsItsParts) {
  EXPECT_EQ(Hex(Sequence({Boolean(true), UnsignedInteger("\x05")})), "30060101ff020105");
  EXPECT_EQ(Hex(Sequence({})), "3000");
}

TEST(DerTime, IsUtcTimeUntil2049AndGeneralizedTimeAfter) {
  const auto text = [](base::UnixSeconds time) { return Time(time).substr(2); };
  EXPECT_EQ(Time(0)[0], kUtcTime);
  EXPECT_EQ(text(0), "700101000000Z");
  EXPECT_EQ(text(951'782'399), "000228235959Z");
  EXPECT_EQ(text(951'782'400), "000229000000Z");
  EXPECT_EQ(text(2'524'607'999), "491231235959Z");
  EXPECT_EQ(Time(2'524'608'000)[0], kGeneralizedTime);
  EXPECT_EQ(text(2'524'608'000), "20500101000000Z");
  EXPECT_EQ(text(INT64_MAX), "99991231235959Z");
  EXPECT_EQ(text(INT64_MIN), "500101000000Z");
}

}  // namespace
}  // namespace exeat::crypto::der
