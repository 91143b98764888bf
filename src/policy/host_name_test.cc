#include "policy/host_name.h"

#include "gtest/gtest.h"

namespace exeat::policy {
namespace {

std::string Host(std::string_view name) { return NormaliseHost(name).value_or("refused"); }

TEST(HostName, HasOneSpelling) {
  EXPECT_EQ(Host("api.example.com"), "api.example.com");
  EXPECT_EQ(Host("API.Example.COM"), "api.example.com");
  EXPECT_EQ(Host("api.example.com."), "api.example.com");
  EXPECT_EQ(Host("localhost"), "localhost");
  EXPECT_EQ(Host("7eleven.example"), "7eleven.example");
  EXPECT_EQ(Host("r3---sn-abc.example.com"), "r3---sn-abc.example.com");
}

TEST(HostName, MapsInternationalNamesWithoutTheTransitionalLoss) {
  EXPECT_EQ(Host("b\u00fccher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(Host("B\u00dcCHER.example"), "xn--bcher-kva.example");
  EXPECT_EQ(Host("xn--bcher-kva.example"), "xn--bcher-kva.example");
  EXPECT_EQ(Host("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
  // Transitional processing would give "fussball", another registrant's name.
  EXPECT_EQ(Host("fu\u00dfball.example"), "xn--fuball-cta.example");
}

TEST(HostName, FullWidthFormsAreTheSameNameOrNone) {
  EXPECT_EQ(Host("api\uff0eexample\u3002com"), "api.example.com");
  EXPECT_EQ(Host("\uff41pi.example.com"), "api.example.com");
  EXPECT_EQ(Host("example.com\u3002"), "example.com");
  EXPECT_EQ(Host("\uff11\uff12\uff17.0.0.1"), "refused");
  EXPECT_EQ(Host("user\uff20example.com"), "refused");
  EXPECT_EQ(Host("example.com\uff0f.evil.example"), "refused");
  EXPECT_EQ(Host("example.com\u2100.evil.example"), "refused");  // maps to "a/c"
}

TEST(HostName, AHomoglyphIsAnotherName) {
  const std::string cyrillic = Host("\u0430pple.com");
  EXPECT_TRUE(cyrillic.starts_with("xn--")) << cyrillic;
  EXPECT_NE(cyrillic, "apple.com");
}

TEST(HostName, RefusesWhatIsNoHost) {
  for (const std::string_view name : {"",
                                      ".",
                                      "..",
                                      "a..b",
                                      ".example.com",
                                      "example.com..",
                                      "*",
                                      "*.example.com",
                                      "a*b.example.com",
                                      "a_b.example.com",
                                      "_dmarc.example.com",
                                      "user@example.com",
                                      "example.com:443",
                                      "example.com/",
                                      "example.com\\",
                                      "example.com?",
                                      "example.com#",
                                      "ex%61mple.com",
                                      "example.com%00",
                                      "example.com\t",
                                      "exa\nmple.com",
                                      "exa\rmple.com",
                                      " example.com",
                                      "example.com ",
                                      "exam\x7fple.com",
                                      "[example.com]",
                                      "[::1]",
                                      "-a.example.com",
                                      "a-.example.com",
                                      "example.com\xff",
                                      "\xc0\xae.example.com",
                                      "ex\u00admple..com"}) {
    EXPECT_EQ(Host(name), "refused") << name;
  }
  EXPECT_EQ(Host(std::string_view("example.com\0", 12)), "refused");
  EXPECT_EQ(Host(std::string_view("example.com\0.evil.example", 25)), "refused");
}

TEST(HostName, RefusesEveryTextFormOfAnAddress) {
  for (const std::string_view name : {"127.0.0.1",
                                      "127.0.0.1.",
                                      "127.1",
                                      "127.0.1",
                                      "2130706433",
                                      "0x7f000001",
                                      "0x7f.1",
                                      "0177.0.0.1",
                                      "017700000001",
                                      "0x",
                                      "0",
                                      "1.2.3.08",
                                      "example.127",
                                      "a.0x7f",
                                      "169.254.169.254",
                                      "100.64.0.1",
                                      "224.0.0.1",
                                      "0.0.0.0",
                                      "::1",
                                      "::ffff:127.0.0.1",
                                      "64:ff9b::7f00:1",
                                      "2002:7f00:1::",
                                      "2001:0:1::1",
                                      "fe80::1%eth0",
                                      "[fd00::1]"}) {
    EXPECT_EQ(Host(name), "refused") << name;
  }
}

TEST(HostName, KeepsTheLengthsOfDns) {
  const std::string label(63, 'a');
  EXPECT_EQ(Host(label + ".example"), label + ".example");
  EXPECT_EQ(Host(label + "a.example"), "refused");
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_EQ(Host(longest), longest);
  EXPECT_EQ(Host(longest + "."), longest);
  EXPECT_EQ(Host(longest + "b"), "refused");
  EXPECT_EQ(Host(std::string(1 << 20, 'a')), "refused");
}

TEST(HostName, RefusesFalsePunycode) {
  for (const std::string_view name :
       {"xn--", "xn--a", "xn--api-.example", "xn--example-.com", "xn--99999999.example",
        "xn--abc\u00fc.example", "a.xn--.example"}) {
    EXPECT_EQ(Host(name), "refused") << name;
  }
}

TEST(HostName, OnlyTheCanonicalSpellingIsCanonical) {
  EXPECT_TRUE(IsCanonicalHost("api.example.com"));
  EXPECT_TRUE(IsCanonicalHost("xn--bcher-kva.example"));
  for (const std::string_view name :
       {"", "API.example.com", "api.example.com.", "b\u00fccher.example", "xn--a.example",
        "127.0.0.1", "*.example.com", "a_b.example"}) {
    EXPECT_FALSE(IsCanonicalHost(name)) << name;
  }
}

TEST(HostName, WhatNormalisesIsCanonicalAndStaysItself) {
  for (const std::string_view name :
       {"API.Example.COM.", "b\u00fccher.example", "fu\u00dfball.example", "\u0430pple.com",
        "\u4f8b\u3048.\u30c6\u30b9\u30c8"}) {
    const auto host = NormaliseHost(name);
    ASSERT_TRUE(host) << name;
    EXPECT_TRUE(IsCanonicalHost(*host)) << name;
    EXPECT_EQ(NormaliseHost(*host), host) << name;
  }
}

TEST(Authority, TakesTheDefaultPortOnlyWhenNoneIsWritten) {
  EXPECT_EQ(ParseAuthority("API.example.com", 443), (Authority{"api.example.com", 443}));
  EXPECT_EQ(ParseAuthority("api.example.com:8443", 443), (Authority{"api.example.com", 8443}));
  EXPECT_EQ(ParseAuthority("api.example.com:65535", 0), (Authority{"api.example.com", 65535}));
  EXPECT_FALSE(ParseAuthority("api.example.com", 0));
}

TEST(Authority, RefusesEveryOtherPort) {
  for (const std::string_view port :
       {"", "0", "00443", "0443", "-1", "+443", "65536", "99999", "443443443", "44x", " 443",
        "443 ", "0x1bb", "443:443", "443/"}) {
    EXPECT_FALSE(ParseAuthority("example.com:" + std::string(port), 443)) << port;
  }
}

TEST(Authority, RefusesUserInfoAndAddresses) {
  for (const std::string_view text :
       {"user@example.com:443", "user:pass@example.com", "[::1]:443", "127.0.0.1:443",
        "example.com%3a443", ":443", "https://example.com", "example.com\t:443"}) {
    EXPECT_FALSE(ParseAuthority(text, 443)) << text;
  }
}

TEST(RegistrableDomain, IsTheSuffixPlusOneLabel) {
  EXPECT_EQ(RegistrableDomain("api.example.com"), "example.com");
  EXPECT_EQ(RegistrableDomain("a.b.c.example.com"), "example.com");
  EXPECT_EQ(RegistrableDomain("example.com"), "example.com");
  EXPECT_EQ(RegistrableDomain("localhost"), "localhost");
  EXPECT_EQ(RegistrableDomain("api.example.co.uk"), "example.co.uk");
  EXPECT_EQ(RegistrableDomain("co.uk"), "co.uk");
  EXPECT_EQ(RegistrableDomain("shop.example.com.au"), "example.com.au");
  EXPECT_EQ(RegistrableDomain("a.me.github.io"), "me.github.io");
  EXPECT_EQ(RegistrableDomain("x.mine.workers.dev"), "mine.workers.dev");
}

TEST(RegistrableDomain, LookAlikesAreOthers) {
  for (const std::string_view other :
       {"api-github.com", "xapigithub.com", "github.com.evil", "api.github.com.evil.example"}) {
    EXPECT_NE(RegistrableDomain(other), RegistrableDomain("api.github.com")) << other;
  }
}

}  // namespace
}  // namespace exeat::policy
