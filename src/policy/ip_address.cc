#include "policy/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "fmt/format.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxTextBytes = 45;  // INET6_ADDRSTRLEN without its NUL

// Plain decimal without sign or leading zero, at most `max`.
std::optional<int> ParseDecimal(std::string_view text, int max) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value > max) return std::nullopt;
  return value;
}

using Groups = std::array<unsigned, 8>;

std::string JoinGroups(const Groups& groups, std::size_t from, std::size_t to) {
  std::string text;
  for (std::size_t i = from; i < to; ++i) {
    if (i > from) text += ':';
    text += fmt::format("{:x}", groups[i]);
  }
  return text;
}

// Our own and not inet_ntop: that one writes ::1:2 as ::0.1.0.2.
std::string V6ToString(const std::array<std::uint8_t, 16>& bytes) {
  Groups groups{};
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<unsigned>(bytes[2 * i] << 8) | bytes[2 * i + 1];
  }
  const bool mapped =
      std::all_of(groups.begin(), groups.begin() + 5, [](unsigned group) { return group == 0; }) &&
      groups[5] == 0xffff;
  if (mapped) {
    return fmt::format("::ffff:{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
  }
  std::size_t best_start = 0;
  std::size_t best_length = 1;  // one zero group alone is not shortened (RFC 5952 4.2.2)
  for (std::size_t start = 0; start < 8;) {
    std::size_t end = start;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - start > best_length) {
      best_start = start;
      best_length = end - start;
    }
    start = end + 1;
  }
  if (best_length == 1) return JoinGroups(groups, 0, 8);
  return JoinGroups(groups, 0, best_start) + "::" + JoinGroups(groups, best_start + best_length, 8);
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxTextBytes) return std::nullopt;
  // inet_pton stops at a NUL, so the whole of the text is looked at first.
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
           c == '.';
  });
  if (!plain) return std::nullopt;
  IpAddress address;
  address.is_v4_ = text.find(':') == std::string_view::npos;
  const std::string terminated(text);
  const int family = address.is_v4_ ? AF_INET : AF_INET6;
  if (inet_pton(family, terminated.c_str(), address.bytes_.data()) != 1) return std::nullopt;
  return address;
}

std::string IpAddress::ToString() const {
  if (!is_v4_) return V6ToString(bytes_);
  return fmt::format("{}.{}.{}.{}", bytes_[0], bytes_[1], bytes_[2], bytes_[3]);
}

std::optional<Cidr> Cidr::Around(const IpAddress& address, int prefix_length) {
  const int bits = address.is_v4() ? 32 : 128;
  if (prefix_length < 0 || prefix_length > bits) return std::nullopt;
  Cidr range;
  range.address_ = address;
  range.prefix_length_ = prefix_length;
  for (int bit = prefix_length; bit < bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
    range.address_.bytes_[static_cast<std::size_t>(bit / 8)] &= mask;
  }
  return range;
}

std::optional<Cidr> Cidr::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Around(*address, address->is_v4() ? 32 : 128);
  const auto prefix_length = ParseDecimal(text.substr(slash + 1), 128);
  if (!prefix_length) return std::nullopt;
  auto range = Around(*address, *prefix_length);
  if (!range || range->address_ != *address) return std::nullopt;
  return range;
}

bool Cidr::Contains(const IpAddress& address) const {
  if (address.is_v4() != address_.is_v4()) return false;
  return Around(address, prefix_length_)->address_ == address_;
}

std::string Cidr::ToString() const {
  return fmt::format("{}/{}", address_.ToString(), prefix_length_);
}

std::optional<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = IpAddress::Parse(host);
  const auto port = ParseDecimal(text.substr(colon + 1), 65535);
  if (!ip || !port || ip->is_v4() == bracketed) return std::nullopt;
  return SocketAddress{*ip, static_cast<std::uint16_t>(*port)};
}

std::string SocketAddress::ToString() const {
  return ip.is_v4() ? fmt::format("{}:{}", ip.ToString(), port)
                    : fmt::format("[{}]:{}", ip.ToString(), port);
}

}  // namespace exeat::policy
