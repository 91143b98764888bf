#include "resolver/own_addresses.h"

#include <algorithm>
#include <string_view>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::resolver {
namespace {

policy::SocketAddress Socket(std::string_view text) {
  return policy::SocketAddress::Parse(text).value();
}

bool Holds(const std::vector<policy::SocketAddress>& own, std::string_view text) {
  return std::find(own.begin(), own.end(), Socket(text)) != own.end();
}

TEST(OwnAddresses, HoldTheListenersAndNoLoopbackAddressByItself) {
  policy::Listeners listeners;
  listeners.proxy = Socket("127.0.0.1:3128");
  listeners.transparent = Socket("127.0.0.7:3129");
  const auto own = OwnAddresses(listeners);
  ASSERT_THAT(own, base::IsOk());
  EXPECT_TRUE(Holds(*own, "127.0.0.1:3128"));
  EXPECT_TRUE(Holds(*own, "127.0.0.7:3129"));
  EXPECT_FALSE(Holds(*own, "127.0.0.1:0"));
}

TEST(OwnAddresses, OfAListenerOnEveryInterfaceHoldEachOfThem) {
  policy::Listeners listeners;
  listeners.proxy = Socket("0.0.0.0:3128");
  const auto own = OwnAddresses(listeners);
  ASSERT_THAT(own, base::IsOk());
  EXPECT_TRUE(Holds(*own, "0.0.0.0:3128"));
  for (const policy::SocketAddress& entry : *own) {
    if (entry.port != 0) continue;
    EXPECT_TRUE(Holds(*own, policy::SocketAddress{entry.ip, 3128}.ToString()));
  }
}

TEST(OwnAddresses, LeaveOutAListenerWhosePortIsNotKnown) {
  policy::Listeners listeners;
  listeners.proxy = Socket("127.0.0.1:0");
  const auto own = OwnAddresses(listeners);
  ASSERT_THAT(own, base::IsOk());
  EXPECT_FALSE(Holds(*own, "127.0.0.1:0"));
}

}  // namespace
}  // namespace exeat::resolver
