// IP addresses and CIDR ranges as values.
//
// Shapes:   an IPv4 address mapped into IPv6 (::ffff:a.b.c.d) is another address than a.b.c.d
//           here; who judges addresses decides what to do with it.
// Errors:   Parse takes canonical text only: no octal, hex, short forms or zone ids.
// Source:   RFC 4291, RFC 4632, RFC 5952
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace exeat::policy {

class IpAddress {
 public:
  // nullopt unless `text` is a strict dotted quad or an RFC 4291 text form.
  static std::optional<IpAddress> Parse(std::string_view text);

  bool is_v4() const { return is_v4_; }
  // Network order; the first four are used for IPv4.
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  // RFC 5952 text; dotted for ::ffff:0:0/96 only.
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  friend class Cidr;
  bool is_v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};
};

class Cidr {
 public:
  // "10.0.0.0/8" or a bare address (all bits). nullopt on bad text, a prefix too long, or host bits
  // that are set, which is most often a mistake.
  static std::optional<Cidr> Parse(std::string_view text);
  // The range of that length around `address`: what was probably meant where host bits are set.
  // nullopt when the length is not one of the family's.
  static std::optional<Cidr> Around(const IpAddress& address, int prefix_length);

  bool Contains(const IpAddress& address) const;
  const IpAddress& address() const { return address_; }
  int prefix_length() const { return prefix_length_; }
  std::string ToString() const;

  bool operator==(const Cidr&) const = default;

 private:
  IpAddress address_;
  int prefix_length_ = 0;
};

// An address and a TCP port, as in `listeners.proxy`. IPv6 is written [::1]:443.
struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  // nullopt on anything but IP:PORT; port 0 is accepted and means "any free one" to a listener.
  static std::optional<SocketAddress> Parse(std::string_view text);
  std::string ToString() const;
  bool operator==(const SocketAddress&) const = default;
};

}  // namespace exeat::policy
