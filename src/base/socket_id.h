// A TCP connection as the kernel knows it: both ends and the socket's cookie.
//
// Why here:  Check learns the ends, sock_diag the cookie, and the guardian, which includes nothing
//            of the domain, must find the same socket again.
// Shapes:    IPv4 ends hold their four bytes first; an IPv4 address that a dual-stack socket shows
//            as ::ffff:a.b.c.d is held as a.b.c.d.
// Source:    socket(7), SO_COOKIE: a cookie is never given twice while the kernel runs.
#pragma once

#include <array>
#include <cstdint>

namespace exeat::base {

struct SocketEnd {
  std::array<std::uint8_t, 16> ip{};  // network order
  std::uint16_t port = 0;
  bool is_v4 = true;
  auto operator<=>(const SocketEnd&) const = default;
};

struct SocketId {
  std::uint64_t cookie = 0;  // 0: none is known
  SocketEnd local;           // Envoy's
  SocketEnd remote;          // the guest's
  bool operator==(const SocketId&) const = default;
};

}  // namespace exeat::base
