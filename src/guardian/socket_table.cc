#include "guardian/socket_table.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::SocketEnd;
using base::SocketId;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr std::size_t kReceiveBytes = std::size_t{64} * 1024;
constexpr timeval kLongestWait{1, 0};
// Of states: closed by their owner if they have one no more. What nobody has accepted yet has no
// owner either, but is in none of these.
constexpr std::uint32_t kClosing =
    (1U << TCP_FIN_WAIT1) | (1U << TCP_FIN_WAIT2) | (1U << TCP_LAST_ACK) | (1U << TCP_CLOSING);
constexpr std::uint32_t kFin = 1;  // the end itself counts as a byte until it is acknowledged
constexpr std::uint32_t kConnections =
    kClosing | (1U << TCP_ESTABLISHED) | (1U << TCP_SYN_RECV) | (1U << TCP_CLOSE_WAIT);

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

SocketEnd EndOf(std::uint8_t family, const void* address, std::uint16_t port_be) {
  SocketEnd end;
  end.port = ntohs(port_be);
  in6_addr v6{};
  if (family == AF_INET) {
    std::memcpy(end.ip.data(), address, 4);
    return end;
  }
  std::memcpy(&v6, address, sizeof(v6));
  end.is_v4 = IN6_IS_ADDR_V4MAPPED(&v6);
  if (end.is_v4) {
    std::memcpy(end.ip.data(), &v6.s6_addr[12], 4);
  } else {
    std::memcpy(end.ip.data(), &v6, sizeof(v6));
  }
  return end;
}

Request MakeRequest(std::uint16_t type, std::uint16_t flags, std::uint8_t family,
                    std::uint32_t sequence) {
  Request request;
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.header.nlmsg_seq = sequence;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = kConnections;
  return request;
}

// A search for the ends under AF_INET also finds what a dual-stack IPv6 socket holds.
Request MakeExact(std::uint16_t type, std::uint16_t flags, const SocketId& id,
                  std::uint32_t sequence) {
  const auto family = static_cast<std::uint8_t>(id.remote.is_v4 ? AF_INET : AF_INET6);
  Request request = MakeRequest(type, flags, family, sequence);
  auto& ends = request.body.id;
  const std::size_t size = id.remote.is_v4 ? 4 : 16;
  ends.idiag_sport = htons(id.local.port);
  ends.idiag_dport = htons(id.remote.port);
  std::memcpy(&ends.idiag_src, id.local.ip.data(), size);
  std::memcpy(&ends.idiag_dst, id.remote.ip.data(), size);
  const bool any = id.cookie == 0;
  ends.idiag_cookie[0] = any ? INET_DIAG_NOCOOKIE : static_cast<std::uint32_t>(id.cookie);
  ends.idiag_cookie[1] = any ? INET_DIAG_NOCOOKIE : static_cast<std::uint32_t>(id.cookie >> 32U);
  return request;
}

Status SendRequest(int fd, const Request& request) {
  ssize_t sent = 0;
  do {
    sent = send(fd, &request, sizeof(request), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent != static_cast<ssize_t>(sizeof(request))) return ErrnoStatus(errno, "sock_diag");
  return absl::OkStatus();
}

// Reads answers to `sequence` until `take(header, payload)` says that it was the last.
template <class Take>
Status ReadAnswers(int fd, std::uint32_t sequence, Take take) {
  std::vector<char> buffer(kReceiveBytes);
  while (true) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "sock_diag");
    const auto size = static_cast<std::size_t>(got);
    if (size > buffer.size()) {
      return MakeStatus(StatusCode::kUnavailable, "sock_diag: answer too large");
    }
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= size;) {
      nlmsghdr header{};
      std::memcpy(&header, buffer.data() + at, sizeof(header));
      if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size - at) {
        return MakeStatus(StatusCode::kUnavailable, "sock_diag: malformed answer");
      }
      const char* payload = buffer.data() + at + NLMSG_HDRLEN;
      // What an earlier question that ran out of time was still owed is passed over.
      if (header.nlmsg_seq == sequence && take(header, payload)) return absl::OkStatus();
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
}

int ErrorNumber(const nlmsghdr& header, const char* payload) {
  nlmsgerr error{};
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(error.error))) return EPROTO;
  std::memcpy(&error.error, payload, sizeof(error.error));
  return -error.error;
}

bool ReadRow(const nlmsghdr& header, const char* payload, inet_diag_msg& row) {
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || header.nlmsg_len < NLMSG_LENGTH(sizeof(row))) {
    return false;
  }
  std::memcpy(&row, payload, sizeof(row));
  return true;
}

std::uint64_t CookieOf(const inet_diag_msg& row) {
  return std::uint64_t{row.id.idiag_cookie[1]} << 32U | row.id.idiag_cookie[0];
}

Status NoSuchConnection() { return MakeStatus(StatusCode::kNotFound, "no such connection"); }

template <class Name>
StatusOr<SocketEnd> NamedEnd(int fd, Name name, const char* what) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (name(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return ErrnoStatus(errno, what);
  return ToSocketEnd(address);
}

}  // namespace

StatusOr<SocketEnd> ToSocketEnd(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof(v4));
    return EndOf(AF_INET, &v4.sin_addr, v4.sin_port);
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    return EndOf(AF_INET6, &v6.sin6_addr, v6.sin6_port);
  }
  return MakeStatus(StatusCode::kInvalidArgument, "not an internet address");
}

StatusOr<SocketEnd> LocalEnd(int fd) { return NamedEnd(fd, getsockname, "getsockname"); }

StatusOr<SocketEnd> RemoteEnd(int fd) { return NamedEnd(fd, getpeername, "getpeername"); }

StatusOr<std::uint64_t> SocketCookie(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) {
    return ErrnoStatus(errno, "SO_COOKIE");
  }
  return cookie;
}

StatusOr<SocketTable> SocketTable::Open() {
  UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink.valid()) return ErrnoStatus(errno, "sock_diag");
  // Connected, so that only the kernel can answer.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (connect(netlink.get(), reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel)) != 0 ||
      setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &kLongestWait, sizeof(kLongestWait)) !=
          0) {
    return ErrnoStatus(errno, "sock_diag");
  }
  return SocketTable(std::move(netlink));
}

StatusOr<SocketTable::Row> SocketTable::Find(const SocketEnd& local, const SocketEnd& remote) {
  SocketId wanted;
  wanted.local = local;
  wanted.remote = remote;
  if (local.is_v4 != remote.is_v4) return NoSuchConnection();
  const std::uint32_t sequence = ++sequence_;
  RETURN_IF_ERROR(SendRequest(netlink_.get(), MakeExact(SOCK_DIAG_BY_FAMILY, 0, wanted, sequence)));
  Row found;
  Status answer = NoSuchConnection();
  RETURN_IF_ERROR(
      ReadAnswers(netlink_.get(), sequence, [&](const nlmsghdr& header, const char* payload) {
        inet_diag_msg row{};
        if (header.nlmsg_type == NLMSG_ERROR) {
          answer = ErrnoStatus(ErrorNumber(header, payload), "sock_diag");
        } else if (ReadRow(header, payload, row)) {
          found.id.cookie = CookieOf(row);
          found.id.local = EndOf(row.idiag_family, row.id.idiag_src, row.id.idiag_sport);
          found.id.remote = EndOf(row.idiag_family, row.id.idiag_dst, row.id.idiag_dport);
          found.inode = row.idiag_inode;
          found.queued = row.idiag_wqueue;
          found.state = row.idiag_state;
          // The kernel offers the listener when there is no connection.
          const bool meant = (kConnections >> row.idiag_state & 1U) != 0 &&
                             found.id.local == local && found.id.remote == remote;
          answer = meant ? absl::OkStatus() : NoSuchConnection();
        }
        return true;
      }));
  if (!answer.ok()) return answer;
  return found;
}

StatusOr<SocketId> SocketTable::FindSocket(const SocketEnd& local, const SocketEnd& remote) {
  ASSIGN_OR_RETURN(const Row row, Find(local, remote));
  return row.id;
}

StatusOr<bool> SocketTable::IsOrphan(const SocketId& id) {
  ASSIGN_OR_RETURN(const Row row, Find(id.local, id.remote));
  if (row.id != id) return NoSuchConnection();
  return row.inode == 0 && (kClosing >> row.state & 1U) != 0 && row.queued <= kFin;
}

StatusOr<std::unordered_set<std::uint64_t>> SocketTable::ListSockets() {
  std::unordered_set<std::uint64_t> cookies;
  RETURN_IF_ERROR(ListFamily(AF_INET, cookies));
  Status v6 = ListFamily(AF_INET6, cookies);
  // A kernel without IPv6 has no table to list.
  if (!v6.ok() && v6.code() != StatusCode::kNotFound) return v6;
  return cookies;
}

Status SocketTable::ListFamily(std::uint8_t family, std::unordered_set<std::uint64_t>& cookies) {
  const std::uint32_t sequence = ++sequence_;
  RETURN_IF_ERROR(
      SendRequest(netlink_.get(), MakeRequest(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, sequence)));
  Status answer = absl::OkStatus();
  RETURN_IF_ERROR(
      ReadAnswers(netlink_.get(), sequence, [&](const nlmsghdr& header, const char* payload) {
        inet_diag_msg row{};
        if (header.nlmsg_type == NLMSG_ERROR) {
          answer = ErrnoStatus(ErrorNumber(header, payload), "sock_diag");
          return true;
        }
        if (header.nlmsg_type == NLMSG_DONE) {
          // It carries what ended the list early, if anything did.
          const int error = ErrorNumber(header, payload);
          if (error > 0) answer = ErrnoStatus(error, "sock_diag");
          return true;
        }
        if (ReadRow(header, payload, row)) cookies.insert(CookieOf(row));
        return false;
      }));
  return answer;
}

Status SocketTable::Destroy(const SocketId& id) {
  if (id.cookie == 0 || id.local.is_v4 != id.remote.is_v4) return NoSuchConnection();
  const std::uint32_t sequence = ++sequence_;
  RETURN_IF_ERROR(SendRequest(netlink_.get(), MakeExact(SOCK_DESTROY, NLM_F_ACK, id, sequence)));
  Status answer = MakeStatus(StatusCode::kUnavailable, "sock_diag: no acknowledgement");
  RETURN_IF_ERROR(
      ReadAnswers(netlink_.get(), sequence, [&](const nlmsghdr& header, const char* payload) {
        if (header.nlmsg_type != NLMSG_ERROR) return false;
        const int error = ErrorNumber(header, payload);
        if (error == 0) {
          answer = absl::OkStatus();
        } else {
          // ESTALE: the ends are another socket's now.
          answer = error == ESTALE ? NoSuchConnection() : ErrnoStatus(error, "SOCK_DESTROY");
        }
        return true;
      }));
  return answer;
}

}  // namespace exeat::guardian
