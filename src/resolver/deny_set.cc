#include <algorithm>
#include <optional>
#include <string_view>

#include "fmt/format.h"
#include "resolver/resolver.h"

namespace exeat::resolver {
namespace {

using policy::Cidr;
using policy::IpAddress;

// IPv4 by the registry's rows that are not globally reachable; IPv6 as all that is not global
// unicast (2000::/3), then the exceptions inside it.
constexpr std::string_view kDenied[] = {
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT
    "127.0.0.0/8",      // loopback
    "169.254.0.0/16",   // link-local
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // protocol assignments
    "192.0.2.0/24",     // documentation
    "192.88.99.0/24",   // 6to4 relays
    "192.168.0.0/16",   // private
    "198.18.0.0/15",    // benchmarks
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, broadcast
    "::/3",             // unspecified, loopback, mapped, compatible, NAT64, discard-only
    "4000::/2",         // unallocated, segment routing
    "8000::/1",         // unique local, link-local, site-local, multicast, unallocated
    "2001::/23",        // protocol assignments: Teredo, benchmarks, ORCHID
    "2001:db8::/32",    // documentation
    "2002::/16",        // 6to4
    "3fff::/20",        // documentation
};

// Where clouds hand out machine credentials; no policy opens them.
constexpr std::string_view kMetadata[] = {
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16",
    "192.0.0.192",     "fd00:ec2::254", "fd00:ec2::23",   "fd20:ce::254",
};

template <std::size_t n>
std::vector<Cidr> ParseAll(const std::string_view (&texts)[n]) {
  std::vector<Cidr> ranges;
  // A row that does not parse is a mistake in this file; value() then ends the program at start.
  for (const std::string_view text : texts) ranges.push_back(Cidr::Parse(text).value());
  return ranges;
}

bool Contains(const std::vector<Cidr>& ranges, const IpAddress& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Cidr& range) { return range.Contains(address); });
}

bool IsUnspecified(const IpAddress& address) {
  const auto& bytes = address.bytes();
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IsLoopback(const IpAddress& address) {
  if (address.is_v4()) return address.bytes()[0] == 127;
  return address == IpAddress::Parse("::1");
}

std::optional<IpAddress> V4At(const IpAddress& address, std::size_t at, std::uint8_t mask = 0) {
  const auto& bytes = address.bytes();
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(bytes[at + i] ^ mask); };
  return IpAddress::Parse(fmt::format("{}.{}.{}.{}", byte(0), byte(1), byte(2), byte(3)));
}

// The IPv4 address that a packet to this IPv6 address may end up at.
std::optional<IpAddress> EmbeddedV4(const IpAddress& address) {
  static const std::vector<Cidr> kLast32 =
      ParseAll({"::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"});
  static const std::vector<Cidr> kSixToFour = ParseAll({"2002::/16"});
  static const std::vector<Cidr> kTeredo = ParseAll({"2001::/32"});
  if (address.is_v4()) return std::nullopt;
  if (IsLoopback(address)) return std::nullopt;  // ::1 stands in ::/96 and embeds nothing
  if (Contains(kLast32, address)) return V4At(address, 12);
  if (Contains(kSixToFour, address)) return V4At(address, 2);
  if (Contains(kTeredo, address)) return V4At(address, 12, 0xff);
  return std::nullopt;
}

// An embedded address needs no word here: MayDial judges it by itself.
bool IsOwn(const IpAddress& address, std::uint16_t port,
           const std::vector<policy::SocketAddress>& own) {
  return std::any_of(own.begin(), own.end(), [&](const policy::SocketAddress& entry) {
    if (entry.port != port && entry.port != 0) return false;
    return entry.ip == address || EmbeddedV4(entry.ip) == address ||
           (IsUnspecified(entry.ip) && IsLoopback(address));
  });
}

}  // namespace

const std::vector<Cidr>& DenySet() {
  static const std::vector<Cidr> ranges = ParseAll(kDenied);
  return ranges;
}

bool MayDial(const IpAddress& address, std::uint16_t port, const std::vector<Cidr>& allow_private,
             const std::vector<policy::SocketAddress>& own) {
  static const std::vector<Cidr> metadata = ParseAll(kMetadata);
  if (IsUnspecified(address) || IsOwn(address, port, own)) return false;
  if (Contains(metadata, address)) return false;
  if (Contains(DenySet(), address) && !Contains(allow_private, address)) return false;
  const std::optional<IpAddress> embedded = EmbeddedV4(address);
  return !embedded || MayDial(*embedded, port, allow_private, own);
}

}  // namespace exeat::resolver
