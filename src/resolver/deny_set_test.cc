#include <string_view>

#include "gtest/gtest.h"
#include "resolver/resolver.h"

namespace exeat::resolver {
namespace {

policy::IpAddress Ip(std::string_view text) { return policy::IpAddress::Parse(text).value(); }
policy::Cidr Range(std::string_view text) { return policy::Cidr::Parse(text).value(); }
policy::SocketAddress Socket(std::string_view text) {
  return policy::SocketAddress::Parse(text).value();
}

// The first and last address of every special range, and the neighbours outside where they are
// public.
TEST(DenySet, HoldsEverySpecialRangeToItsEdges) {
  for (const std::string_view text : {"0.0.0.1",
                                      "0.255.255.255",
                                      "10.0.0.0",
                                      "10.255.255.255",
                                      "100.64.0.0",
                                      "100.127.255.255",
                                      "127.0.0.0",
                                      "127.255.255.255",
                                      "169.254.0.0",
                                      "169.254.255.255",
                                      "172.16.0.0",
                                      "172.31.255.255",
                                      "192.0.0.0",
                                      "192.0.0.255",
                                      "192.0.2.1",
                                      "192.88.99.1",
                                      "192.168.0.0",
                                      "192.168.255.255",
                                      "198.18.0.0",
                                      "198.19.255.255",
                                      "198.51.100.1",
                                      "203.0.113.1",
                                      "224.0.0.0",
                                      "239.255.255.255",
                                      "240.0.0.0",
                                      "255.255.255.255",
                                      "::1",
                                      "::2",
                                      "::ffff:8.8.8.8",
                                      "::8.8.8.8",
                                      "64:ff9b::8.8.8.8",
                                      "64:ff9b:1::8.8.8.8",
                                      "100::1",
                                      "100:0:0:1::1",
                                      "2001::1",
                                      "2001:0:1::1",
                                      "2001:2::1",
                                      "2001:10::1",
                                      "2001:20::1",
                                      "2001:1ff:ffff::1",
                                      "2001:db8::1",
                                      "2002:808:808::1",
                                      "3fff::1",
                                      "3fff:fff::1",
                                      "5f00::1",
                                      "4000::1",
                                      "8000::1",
                                      "fc00::1",
                                      "fdff::1",
                                      "fe80::1",
                                      "febf::1",
                                      "fec0::1",
                                      "ff02::1"}) {
    EXPECT_FALSE(MayDial(Ip(text), 443, {}, {})) << text;
  }
}

TEST(DenySet, LeavesPublicAddressesAlone) {
  for (const std::string_view text : {"1.0.0.0",         "8.8.8.8",
                                      "9.255.255.255",   "11.0.0.0",
                                      "100.63.255.255",  "100.128.0.0",
                                      "126.255.255.255", "128.0.0.0",
                                      "169.253.255.255", "169.255.0.0",
                                      "172.15.255.255",  "172.32.0.0",
                                      "192.0.1.0",       "192.167.255.255",
                                      "192.169.0.0",     "198.17.255.255",
                                      "198.20.0.0",      "203.0.112.255",
                                      "203.0.114.0",     "223.255.255.255",
                                      "2001:200::1",     "2001:4860:4860::8888",
                                      "2001:db9::1",     "2003::1",
                                      "2600::1",         "2a00::1",
                                      "3ffe::1",         "3fff:1000::1"}) {
    EXPECT_TRUE(MayDial(Ip(text), 443, {}, {})) << text;
  }
}

TEST(AllowPrivate, OpensExactlyItsRanges) {
  const std::vector<policy::Cidr> open = {Range("10.1.0.0/16"), Range("fd00:1::/32")};
  EXPECT_TRUE(MayDial(Ip("10.1.2.3"), 443, open, {}));
  EXPECT_FALSE(MayDial(Ip("10.2.2.3"), 443, open, {}));
  EXPECT_TRUE(MayDial(Ip("fd00:1::7"), 443, open, {}));
  EXPECT_FALSE(MayDial(Ip("fd00:2::7"), 443, open, {}));
  EXPECT_FALSE(MayDial(Ip("::ffff:10.1.2.3"), 443, open, {}));
}

TEST(AllowPrivate, NeverOpensMetadataServicesOrTheUnspecifiedAddress) {
  const std::vector<policy::Cidr> all = {Range("0.0.0.0/0"), Range("::/0")};
  for (const std::string_view text :
       {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
        "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "0.0.0.0",
        "::", "::ffff:0.0.0.0"}) {
    EXPECT_FALSE(MayDial(Ip(text), 443, all, {})) << text;
  }
  EXPECT_FALSE(MayDial(Ip("168.63.129.16"), 443, {}, {}));
}

TEST(AllowPrivate, OfATranslationPrefixDoesNotOpenWhatIsEmbedded) {
  const std::vector<policy::Cidr> open = {Range("64:ff9b::/96"), Range("2002::/16"),
                                          Range("2001::/32"), Range("::ffff:0:0/96")};
  for (const std::string_view prefix : {"64:ff9b::", "::ffff:"}) {
    EXPECT_TRUE(MayDial(Ip(std::string(prefix) + "8.8.8.8"), 443, open, {})) << prefix;
    EXPECT_FALSE(MayDial(Ip(std::string(prefix) + "10.0.0.1"), 443, open, {})) << prefix;
  }
  EXPECT_TRUE(MayDial(Ip("2002:808:808::1"), 443, open, {}));
  EXPECT_FALSE(MayDial(Ip("2002:a00:1::1"), 443, open, {}));
  // Teredo holds the client's address with every bit turned.
  EXPECT_TRUE(MayDial(Ip("2001::f7f7:f7f7"), 443, open, {}));
  EXPECT_FALSE(MayDial(Ip("2001::f5ff:fffe"), 443, open, {}));
}

TEST(OwnSockets, AreNeverDialledHoweverTheyAreWritten) {
  const std::vector<policy::Cidr> all = {Range("0.0.0.0/0"), Range("::/0")};
  const std::vector<policy::SocketAddress> own = {Socket("127.0.0.1:3128"), Socket("[::1]:3129")};
  EXPECT_FALSE(MayDial(Ip("127.0.0.1"), 3128, all, own));
  EXPECT_FALSE(MayDial(Ip("::ffff:127.0.0.1"), 3128, all, own));
  EXPECT_FALSE(MayDial(Ip("::1"), 3129, all, own));
  EXPECT_TRUE(MayDial(Ip("127.0.0.1"), 8443, all, own));
  EXPECT_TRUE(MayDial(Ip("127.0.0.2"), 3128, all, own));
  EXPECT_TRUE(MayDial(Ip("::1"), 3128, all, own));
}

TEST(OwnSockets, OnEveryInterfaceCoverLoopback) {
  const std::vector<policy::Cidr> all = {Range("0.0.0.0/0"), Range("::/0")};
  for (const std::string_view listener : {"0.0.0.0:3128", "[::]:3128"}) {
    const std::vector<policy::SocketAddress> own = {Socket(listener)};
    for (const std::string_view text : {"127.0.0.1", "127.9.9.9", "::1"}) {
      EXPECT_FALSE(MayDial(Ip(text), 3128, all, own)) << text;
      EXPECT_TRUE(MayDial(Ip(text), 443, all, own)) << text;
    }
  }
}

TEST(OwnSockets, WithPortZeroStandForEveryPort) {
  const std::vector<policy::SocketAddress> own = {Socket("8.8.8.8:0")};
  EXPECT_FALSE(MayDial(Ip("8.8.8.8"), 443, {}, own));
  EXPECT_FALSE(MayDial(Ip("8.8.8.8"), 1, {}, own));
  EXPECT_TRUE(MayDial(Ip("8.8.4.4"), 443, {}, own));
}

}  // namespace
}  // namespace exeat::resolver
