#include "listener_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "base/file.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat {
namespace {

struct RawAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

RawAddress ToRaw(const policy::SocketAddress& address) {
  RawAddress raw;
  if (address.ip.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&raw.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    std::memcpy(&v4->sin_addr, address.ip.bytes().data(), 4);
    raw.length = sizeof(sockaddr_in);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&raw.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    std::memcpy(&v6->sin6_addr, address.ip.bytes().data(), 16);
    raw.length = sizeof(sockaddr_in6);
  }
  return raw;
}

const char* RemedyFor(int error) {
  switch (error) {
    case EADDRINUSE:
      return "stop what holds it, or choose another port";
    case EACCES:
      return "this user may not listen below port 1024: choose a higher port";
    case EADDRNOTAVAIL:
      return "this machine has no such address: choose one of its own";
    default:
      return "choose another address or port";
  }
}

// Binds for a moment; the port that was bound, or why not.
base::StatusOr<std::uint16_t> TryBind(const policy::SocketAddress& address) {
  RawAddress raw = ToRaw(address);
  const base::UniqueFd fd(socket(raw.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd.valid()) return base::ErrnoStatus(errno, "socket");
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), raw.get(), raw.length) != 0 || listen(fd.get(), 1) != 0) {
    const int error = errno;
    const base::Status status = base::ErrnoStatus(error, address.ToString());
    return base::MakeStatus(status.code(),
                            fmt::format("{}; {}", base::Message(status), RemedyFor(error)));
  }
  if (getsockname(fd.get(), raw.get(), &raw.length) != 0) {
    return base::ErrnoStatus(errno, address.ToString());
  }
  return ntohs(raw.get()->sa_family == AF_INET
                   ? reinterpret_cast<sockaddr_in*>(&raw.storage)->sin_port
                   : reinterpret_cast<sockaddr_in6*>(&raw.storage)->sin6_port);
}

base::StatusOr<policy::SocketAddress> Claim(const char* key, policy::SocketAddress wanted,
                                            std::optional<std::uint16_t> remembered,
                                            bool envoy_runs) {
  policy::SocketAddress address = wanted;
  if (wanted.port == 0 && remembered.has_value()) address.port = *remembered;
  if (envoy_runs && address.port != 0) return address;
  auto port = TryBind(address);
  if (!port.ok() && wanted.port == 0) port = TryBind(wanted);
  if (!port.ok()) {
    return base::MakeStatus(base::StatusCode::kFailedPrecondition,
                            fmt::format("listeners.{}: {}", key, base::Message(port.status())));
  }
  address.port = *port;
  return address;
}

}  // namespace

base::StatusOr<policy::Listeners> ClaimListeners(const policy::Listeners& wanted,
                                                 const std::string& remembered, bool envoy_runs) {
  const auto file = base::ReadFile(remembered, 4096);
  const auto known = file.ok() ? nlohmann::json::parse(*file, nullptr, false) : nlohmann::json();
  const auto port_of = [&](const char* key) -> std::optional<std::uint16_t> {
    if (!known.is_object() || !known.contains(key) || !known[key].is_number_unsigned()) {
      return std::nullopt;
    }
    return known[key].get<std::uint16_t>();
  };
  policy::Listeners claimed;
  nlohmann::json ports = nlohmann::json::object();
  if (wanted.proxy.has_value()) {
    ASSIGN_OR_RETURN(claimed.proxy, Claim("proxy", *wanted.proxy, port_of("proxy"), envoy_runs));
    ports["proxy"] = claimed.proxy->port;
  }
  if (wanted.transparent.has_value()) {
    ASSIGN_OR_RETURN(claimed.transparent,
                     Claim("transparent", *wanted.transparent, port_of("transparent"), envoy_runs));
    ports["transparent"] = claimed.transparent->port;
  }
  RETURN_IF_ERROR(base::WriteFileAtomically(remembered, ports.dump(), 0600));
  return claimed;
}

bool Answers(const policy::SocketAddress& address) {
  policy::SocketAddress target = address;
  // A listener on every address answers on loopback too.
  if (target.ip == *policy::IpAddress::Parse("0.0.0.0")) {
    target.ip = *policy::IpAddress::Parse("127.0.0.1");
  }
  RawAddress raw = ToRaw(target);
  const base::UniqueFd fd(socket(raw.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd.valid() && connect(fd.get(), raw.get(), raw.length) == 0;
}

}  // namespace exeat
