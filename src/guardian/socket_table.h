// The kernel's table of TCP connections: find one by its ends, list all, abort one.
//
// Why here:   control names a stream's socket when it asks for the stream, the guardian must find
//             that very socket again, and both must read the kernel's answers alike.
// Privilege:  finding and listing need none; Destroy needs CAP_NET_ADMIN, and a kernel built with
//             CONFIG_INET_DIAG_DESTROY. All see this network namespace only.
// Errors:     kNotFound no such connection; kPermissionDenied; kUnavailable the kernel does not
//             answer or not in time (a second).
// Threads:    one at a time; an object holds one netlink socket for its whole life.
// Source:     sock_diag(7), docs/adr/0013-cutting-streams.md
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <unordered_set>

#include "base/fd.h"
#include "base/socket_id.h"
#include "base/status.h"

namespace exeat::guardian {

// As base/socket_id.h holds it: ::ffff:a.b.c.d is a.b.c.d. kInvalidArgument for another family.
base::StatusOr<base::SocketEnd> ToSocketEnd(const sockaddr_storage& address);

// Of a socket of this process; kUnavailable when it has no such end.
base::StatusOr<base::SocketEnd> LocalEnd(int fd);
base::StatusOr<base::SocketEnd> RemoteEnd(int fd);
base::StatusOr<std::uint64_t> SocketCookie(int fd);

class SocketTable {
 public:
  static base::StatusOr<SocketTable> Open();

  // The connection with exactly these ends, seen from `local`. One that merely waits out its time
  // (TIME_WAIT) is kNotFound, and so is a listener that would take such a connection.
  base::StatusOr<base::SocketId> FindSocket(const base::SocketEnd& local,
                                            const base::SocketEnd& remote);

  // Whether the kernel still holds this very socket, and no process does: its owner has closed it.
  // Not while bytes are left that the other side could still draw.
  base::StatusOr<bool> IsOrphan(const base::SocketId& id);

  // The cookies of all connections. The kernel lists piece by piece, so one that is there may be
  // missed while others come and go: ask FindSocket before something is believed to be gone.
  base::StatusOr<std::unordered_set<std::uint64_t>> ListSockets();

  // Aborts it: the other side is reset and nothing queued is sent any more. The ends and the cookie
  // must all match, or it is kNotFound and nothing is touched.
  base::Status Destroy(const base::SocketId& id);

 private:
  struct Row {
    base::SocketId id;
    std::uint32_t inode = 0;   // 0: no process holds it
    std::uint32_t queued = 0;  // bytes to send, or sent and not acknowledged
    std::uint8_t state = 0;
  };
  explicit SocketTable(base::UniqueFd netlink) : netlink_(std::move(netlink)) {}
  base::StatusOr<Row> Find(const base::SocketEnd& local, const base::SocketEnd& remote);
  base::Status ListFamily(std::uint8_t family, std::unordered_set<std::uint64_t>& cookies);

  base::UniqueFd netlink_;
  std::uint32_t sequence_ = 0;
};

}  // namespace exeat::guardian
