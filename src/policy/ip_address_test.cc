#include "policy/ip_address.h"

#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

std::string Text(std::string_view text) {
  const auto ip = IpAddress::Parse(text);
  return ip ? ip->ToString() : "refused";
}

TEST(IpAddress, WritesTheOneSpellingOfRfc5952) {
  EXPECT_EQ(Text("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Text("2001:0DB8:0:0:0:0:0:1"), "2001:db8::1");
  EXPECT_EQ(Text("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");  // one group stays
  EXPECT_EQ(Text("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");     // the first of two runs
  EXPECT_EQ(Text("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");           // the longer of two runs
  EXPECT_EQ(Text("::"), "::");
  EXPECT_EQ(Text("::1"), "::1");
  EXPECT_EQ(Text("fe80::"), "fe80::");
  EXPECT_EQ(Text("::1:2"), "::1:2");
  EXPECT_EQ(Text("::ffff:10.1.2.3"), "::ffff:10.1.2.3");
  EXPECT_EQ(Text("::ffff:a01:203"), "::ffff:10.1.2.3");
  EXPECT_EQ(Text("64:ff9b::10.1.2.3"), "64:ff9b::a01:203");
}

TEST(IpAddress, AMappedAddressIsNotTheV4OneItHolds) {
  const auto mapped = IpAddress::Parse("::ffff:127.0.0.1");
  const auto plain = IpAddress::Parse("127.0.0.1");
  ASSERT_TRUE(mapped && plain);
  EXPECT_NE(*mapped, *plain);
  EXPECT_FALSE(mapped->is_v4());
}

TEST(IpAddress, RefusesEveryOtherTextForm) {
  for (const std::string_view text :
       {"",           "127.1",      "0177.0.0.1",    "127.0.0.01",
        "0x7f.0.0.1", "0x7f000001", "2130706433",    "127.0.0.1.",
        " 127.0.0.1", "127.0.0.1 ", "256.0.0.1",     "1.2.3",
        "1.2.3.4.5",  "+1.2.3.4",   "fe80::1%eth0",  "fe80::1%1",
        "[::1]",      "::1/128",    ":::",           "1::2::3",
        "12345::",    "::g",        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "::1.2.3",    "localhost",  "127.0.0.1\n"}) {
    EXPECT_EQ(Text(text), "refused") << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("127.0.0.1\0x", 11)));
}

TEST(Cidr, HoldsExactlyItsRange) {
  const auto range = Cidr::Parse("10.20.0.0/15");
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->Contains(*IpAddress::Parse("10.20.0.0")));
  EXPECT_TRUE(range->Contains(*IpAddress::Parse("10.21.255.255")));
  EXPECT_FALSE(range->Contains(*IpAddress::Parse("10.22.0.0")));
  EXPECT_FALSE(range->Contains(*IpAddress::Parse("10.19.255.255")));
  EXPECT_FALSE(range->Contains(*IpAddress::Parse("::ffff:10.20.0.0")));
  EXPECT_EQ(range->ToString(), "10.20.0.0/15");
}

TEST(Cidr, ABareAddressIsARangeOfOne) {
  EXPECT_EQ(Cidr::Parse("192.0.2.7")->prefix_length(), 32);
  EXPECT_EQ(Cidr::Parse("2001:db8::1")->prefix_length(), 128);
}

TEST(Cidr, TheWholeSpaceHoldsItsFamilyOnly) {
  EXPECT_TRUE(Cidr::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("203.0.113.9")));
  EXPECT_FALSE(Cidr::Parse("0.0.0.0/0")->Contains(*IpAddress::Parse("::1")));
  EXPECT_TRUE(Cidr::Parse("::/0")->Contains(*IpAddress::Parse("ff02::1")));
}

TEST(Cidr, RefusesSetHostBitsAndBadLengths) {
  for (const std::string_view text :
       {"10.0.0.1/8", "2001:db8::1/64", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08",
        "10.0.0.0/-1", "10.0.0.0/+8", "10/8", "10.0.0.0/8/8", "/8", "10.0.0.0/255.0.0.0"}) {
    EXPECT_FALSE(Cidr::Parse(text)) << text;
  }
}

TEST(Cidr, NamesTheRangeAroundAnAddress) {
  EXPECT_EQ(Cidr::Around(*IpAddress::Parse("10.1.2.3"), 12)->ToString(), "10.0.0.0/12");
  EXPECT_EQ(Cidr::Around(*IpAddress::Parse("2001:db8::ffff"), 120)->ToString(),
            "2001:db8::ff00/120");
  EXPECT_FALSE(Cidr::Around(*IpAddress::Parse("10.1.2.3"), 33));
}

TEST(SocketAddress, ReadsBothFamiliesAndPortZero) {
  EXPECT_EQ(SocketAddress::Parse("127.0.0.1:0")->port, 0);
  EXPECT_EQ(SocketAddress::Parse("127.0.0.1:65535")->ToString(), "127.0.0.1:65535");
  EXPECT_EQ(SocketAddress::Parse("[::1]:443")->ToString(), "[::1]:443");
}

TEST(SocketAddress, RefusesEverythingElse) {
  for (const std::string_view text :
       {"", ":", "127.0.0.1", "127.0.0.1:", ":443", "::1:443", "[127.0.0.1]:443", "[::1]443",
        "[::1]", "127.0.0.1:65536", "127.0.0.1:00443", "127.0.0.1:-1", "127.0.0.1: 1",
        "localhost:443", "[fe80::1%1]:443", "127.0.0.1:443x"}) {
    EXPECT_FALSE(SocketAddress::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace exeat::policy
