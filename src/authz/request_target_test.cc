#include "authz/request_target.h"

#include <string>

#include "gtest/gtest.h"

namespace exeat::authz {
namespace {

TEST(RequestTarget, IsMalformedWhereEnvoyWouldHaveChangedIt) {
  for (const std::string_view target : {"",         "*",         "v1",          "http://api.test/",
                                        "?q",       "//",        "//v1",        "/v1//x",
                                        "/v1//",    "/.",        "/..",         "/./",
                                        "/../x",    "/v1/.",     "/v1/..",      "/v1/./x",
                                        "/v1/../x", "/.;/",      "/..;/admin",  "/..;x=1",
                                        "/%2e/",    "/%2E%2e/x", "/.%2e",       "/%2e;x",
                                        "/v1%2fx",  "/v1%2Fx",   "/v1%5cx",     "/v1%5Cx",
                                        "/v1\\x",   "/v1#x",     "/#",          "/%00",
                                        "/v1\n",    "/v1\x7f",   "/v1?q=\r\nx", "/v1/\x1b[31m"}) {
    EXPECT_TRUE(IsMalformedTarget(target)) << target;
  }
  EXPECT_TRUE(IsMalformedTarget(std::string_view("/v1\0x", 5)));
}

TEST(RequestTarget, IsWellFormedOtherwise) {
  for (const std::string_view target :
       {"/", "/v1", "/v1/", "/v1/messages", "/v1/messages?x=//../%2f\\#", "/...", "/.well-known/x",
        "/a..b", "/a;x=1/b", "/;", "/%20", "/%2", "/%", "/v1/%e2%82%ac", "/~x/@me/$batch", "/a.",
        "/..a", "/?"}) {
    EXPECT_FALSE(IsMalformedTarget(target)) << target;
  }
}

TEST(AddressLiteral, IsWhateverAClientMightDialAsAnAddress) {
  for (const std::string_view authority :
       {"10.1.2.3", "10.1.2.3:443", "127.1", "127.1:443", "2130706433", "0x7f.1", "0177.0.0.1",
        "0X7F000001", "1.2.3.4.", "[::1]", "[::1]:443", "[fe80::1%25eth0]:443", "::1",
        "api.test.0x10", "[api.test]"}) {
    EXPECT_TRUE(IsAddressLiteral(authority)) << authority;
  }
}

TEST(AddressLiteral, IsNoName) {
  for (const std::string_view authority :
       {"", "api.test", "api.test:443", "1.test", "10.1.2.3.test", "x1", "api.test.", "0y1", "."}) {
    EXPECT_FALSE(IsAddressLiteral(authority)) << authority;
  }
}

TEST(Method, IsANonEmptyToken) {
  for (const std::string_view method : {"GET", "M-SEARCH", "patch", "!#$%&'*+-.^_`|~09"}) {
    EXPECT_TRUE(IsMethod(method)) << method;
  }
  for (const std::string_view method : {"", "GET ", "G(T", "GET\n", "G\xc3\x89T", "GET/"}) {
    EXPECT_FALSE(IsMethod(method)) << method;
  }
}

}  // namespace
}  // namespace exeat::authz
