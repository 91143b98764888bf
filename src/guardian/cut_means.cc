#include "guardian/cut_means.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "guardian/link_message.h"
#include "guardian/socket_table.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::SocketId;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr int kDuplicateAttempts = 50;
constexpr int kAttemptPauseMs = 1;
constexpr int kAcceptPatienceMs = 100;

struct Connection {
  UniqueFd near;
  UniqueFd far;
};

StatusOr<Connection> ConnectToSelf() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const UniqueFd listener(socket(AF_INET, type, 0));
  Connection made;
  made.near.Reset(socket(AF_INET, type, 0));
  if (!listener.valid() || !made.near.valid() || bind(listener.get(), raw, size) != 0 ||
      listen(listener.get(), 1) != 0 || getsockname(listener.get(), raw, &size) != 0 ||
      (connect(made.near.get(), raw, size) != 0 && errno != EINPROGRESS)) {
    return ErrnoStatus(errno, "a connection to try it on");
  }
  pollfd wait{listener.get(), POLLIN, 0};
  poll(&wait, 1, kAcceptPatienceMs);
  made.far.Reset(accept4(listener.get(), nullptr, nullptr, type & ~SOCK_STREAM));
  if (!made.far.valid()) return ErrnoStatus(errno, "a connection to try it on");
  return made;
}

StatusOr<SocketId> NameOf(SocketTable& table, const Connection& connection) {
  ASSIGN_OR_RETURN(const base::SocketEnd local, LocalEnd(connection.far.get()));
  ASSIGN_OR_RETURN(const base::SocketEnd remote, RemoteEnd(connection.far.get()));
  return table.FindSocket(local, remote);
}

Status TryName(SocketTable& table) {
  ASSIGN_OR_RETURN(const Connection connection, ConnectToSelf());
  return NameOf(table, connection).status();
}

Status TryDestroy(SocketTable& table) {
  ASSIGN_OR_RETURN(const Connection connection, ConnectToSelf());
  ASSIGN_OR_RETURN(const SocketId id, NameOf(table, connection));
  RETURN_IF_ERROR(table.Destroy(id));
  if (RemoteEnd(connection.far.get()).ok()) {
    return MakeStatus(StatusCode::kUnavailable, "SOCK_DESTROY: without effect");
  }
  return absl::OkStatus();
}

Status TryDuplicate(const StatusOr<DescriptorTable>& child) {
  if (!child.ok()) return child.status();
  StatusOr<UniqueFd> duplicate = child->Duplicate(0);
  // For an instant after exec the child is still as undumpable as the guardian that forked it.
  for (int i = 0; i < kDuplicateAttempts && !duplicate.ok() && !child->Ended(); ++i) {
    poll(nullptr, 0, kAttemptPauseMs);
    duplicate = child->Duplicate(0);
  }
  RETURN_IF_ERROR(duplicate.status());
  return child->Size().status();
}

}  // namespace

CutMeans TryCutMeans(const StatusOr<DescriptorTable>& child) {
  StatusOr<SocketTable> table = SocketTable::Open();
  const Status names = table.ok() ? TryName(*table) : table.status();
  if (!names.ok()) return {0, "none: sockets cannot be named: " + base::Message(names)};
  const Status destroys = TryDestroy(*table);
  const Status duplicates = TryDuplicate(child);
  CutMeans means;
  if (destroys.ok()) means.bits |= kCutsByDestroy;
  if (duplicates.ok()) means.bits |= kCutsByDescriptor;
  if (destroys.ok() && duplicates.ok()) {
    means.description = "SOCK_DESTROY and pidfd_getfd";
  } else if (duplicates.ok()) {
    means.description = "pidfd_getfd";
  } else if (destroys.ok()) {
    means.description = "SOCK_DESTROY";
  } else {
    means.description = "none: " + base::Message(destroys) + "; " + base::Message(duplicates);
  }
  return means;
}

}  // namespace exeat::guardian
