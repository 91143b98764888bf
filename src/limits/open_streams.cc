#include "limits/open_streams.h"

#include <algorithm>
#include <utility>

namespace exeat::limits {

void OpenStreams::Connected(std::string_view peer, const base::SocketId& socket, Leg leg) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found != connections_.end()) {
    if (found->second.socket.cookie == socket.cookie) return;
    DropLocked(found);  // the kernel gave the guest's port to another connection
  }
  connections_[std::string(peer)] = {socket, leg, {}, {}};
}

void OpenStreams::Forget(std::string_view peer) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found != connections_.end()) DropLocked(found);
}

bool OpenStreams::Begin(std::string_view peer, OpenStream stream) {
  base::MutexLock lock(mutex_);
  EndLocked(stream.id);
  const auto connection = connections_.find(peer);
  if (connection == connections_.end()) return false;
  connection->second.streams.insert(stream.id);
  std::string id = stream.id;
  streams_.insert_or_assign(std::move(id), Entry{std::move(stream), std::string(peer)});
  return true;
}

void OpenStreams::BeginUnreachable(OpenStream stream) {
  base::MutexLock lock(mutex_);
  EndLocked(stream.id);
  std::string id = stream.id;
  streams_.insert_or_assign(std::move(id), Entry{std::move(stream), {}});
}

void OpenStreams::End(std::string_view id) {
  base::MutexLock lock(mutex_);
  EndLocked(id);
}

void OpenStreams::EndLocked(std::string_view id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const auto connection = connections_.find(found->second.peer);
  if (connection != connections_.end()) {
    connection->second.streams.erase(found->first);
    if (connection->second.streams.empty() && connection->second.leg == Leg::kExplicit) {
      connections_.erase(connection);
    }
  }
  streams_.erase(found);
  ended_.NotifyAll();
}

void OpenStreams::DropLocked(Map<Connection>::iterator connection) {
  for (const std::string& id : connection->second.streams) streams_.erase(id);
  connections_.erase(connection);
  ended_.NotifyAll();
}

OpenStreams::Found OpenStreams::Find(const Whose& whose) const {
  Found found;
  base::MutexLock lock(mutex_);
  std::unordered_set<std::string_view> peers;
  for (const auto& [id, entry] : streams_) {
    if (!whose(entry.stream)) continue;
    const auto connection = connections_.find(entry.peer);
    if (connection == connections_.end()) {
      ++found.unreachable;
      continue;
    }
    ++found.streams;
    if (peers.insert(connection->first).second) found.sockets.push_back(connection->second.socket);
  }
  return found;
}

void OpenStreams::Closed(const std::vector<std::uint64_t>& cookies) {
  const std::unordered_set<std::uint64_t> closed(cookies.begin(), cookies.end());
  base::MutexLock lock(mutex_);
  for (auto connection = connections_.begin(); connection != connections_.end();) {
    const auto next = std::next(connection);
    if (closed.contains(connection->second.socket.cookie)) DropLocked(connection);
    connection = next;
  }
}

void OpenStreams::Clear() {
  base::MutexLock lock(mutex_);
  streams_.clear();
  connections_.clear();
  ended_.NotifyAll();
}

void OpenStreams::Sweep(const std::unordered_set<std::uint64_t>& alive, base::BootTime now) {
  base::MutexLock lock(mutex_);
  for (auto connection = connections_.begin(); connection != connections_.end();) {
    const auto next = std::next(connection);
    base::BootTime& missing_since = connection->second.missing_since;
    if (alive.contains(connection->second.socket.cookie)) {
      missing_since = {};
    } else if (missing_since == base::BootTime{}) {
      missing_since = now;
    } else if (now - missing_since >= kLostAfter) {
      DropLocked(connection);
    }
    connection = next;
  }
}

std::size_t OpenStreams::AwaitNone(const Whose& whose, std::chrono::milliseconds timeout,
                                   const base::Clock& clock) {
  const base::BootTime deadline = clock.BootNow() + timeout;
  base::MutexLock lock(mutex_);
  while (true) {
    const std::size_t open = CountLocked(whose);
    const base::BootTime now = clock.BootNow();
    if (open == 0 || now >= deadline) return open;
    ended_.WaitFor(mutex_, deadline - now);
  }
}

std::size_t OpenStreams::CountLocked(const Whose& whose) const {
  return static_cast<std::size_t>(
      std::count_if(streams_.begin(), streams_.end(),
                    [&](const auto& item) { return whose(item.second.stream); }));
}

std::size_t OpenStreams::streams() const {
  base::MutexLock lock(mutex_);
  return streams_.size();
}

std::size_t OpenStreams::connections() const {
  base::MutexLock lock(mutex_);
  return connections_.size();
}

}  // namespace exeat::limits
