#include "resolver/own_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

namespace exeat::resolver {
namespace {

struct InterfaceAddress {
  policy::IpAddress ip;
  bool loopback = false;
};

std::optional<policy::IpAddress> AddressOf(const sockaddr* address) {
  if (!address) return std::nullopt;
  char text[INET6_ADDRSTRLEN] = {};
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  }
  return policy::IpAddress::Parse(text);
}

base::StatusOr<std::vector<InterfaceAddress>> ListInterfaces() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return base::ErrnoStatus(errno, "listing this host's interfaces");
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(first, &freeifaddrs);
  std::vector<InterfaceAddress> addresses;
  for (const ifaddrs* entry = first; entry; entry = entry->ifa_next) {
    if (const auto ip = AddressOf(entry->ifa_addr)) {
      addresses.push_back({*ip, (entry->ifa_flags & IFF_LOOPBACK) != 0});
    }
  }
  return addresses;
}

bool IsWildcard(const policy::IpAddress& address) {
  const auto& bytes = address.bytes();
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

base::StatusOr<std::vector<policy::SocketAddress>> OwnAddresses(
    const policy::Listeners& listeners) {
  ASSIGN_OR_RETURN(const std::vector<InterfaceAddress> interfaces, ListInterfaces());
  std::vector<policy::SocketAddress> own;
  for (const auto& listener : {listeners.proxy, listeners.transparent}) {
    if (!listener || listener->port == 0) continue;
    own.push_back(*listener);
    if (!IsWildcard(listener->ip)) continue;
    for (const InterfaceAddress& address : interfaces) own.push_back({address.ip, listener->port});
  }
  for (const InterfaceAddress& address : interfaces) {
    if (!address.loopback) own.push_back({address.ip, 0});
  }
  return own;
}

}  // namespace exeat::resolver
