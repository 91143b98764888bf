#include "limits/open_streams.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "crypto/digest.h"

namespace exeat::limits {
OpenStreams::StreamId OpenStreams::StreamId::Of(std::string_view text) {
  StreamId id;
  if (text.size() < id.text.size()) {
    std::copy(text.begin(), text.end(), id.text.begin());
    return id;
  }
  const crypto::Sha256Digest digest = crypto::Sha256(text);
  static_assert(sizeof(digest) < sizeof(id.text));
  std::memcpy(id.text.data(), digest.data(), digest.size());
  id.text.back() = '#';  // no shorter text ends like this
  return id;
}

void OpenStreams::Connected(std::string_view peer, const base::SocketId& socket, Leg leg) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found != connections_.end()) {
    if (found->second.socket.cookie == socket.cookie) return;
    DropLocked(found);  // the kernel gave the guest's port to another connection
  }
  Connection& connection = connections_[std::string(peer)];
  connection.socket = socket;
  connection.leg = leg;
  connection.peer = peer;
}

void OpenStreams::Forget(std::string_view peer) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found != connections_.end()) DropLocked(found);
}

bool OpenStreams::Begin(std::string_view peer, std::string_view id, OpenStream stream) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found == connections_.end()) return false;
  const StreamId name = StreamId::Of(id);
  if (early_.contains(name) || early_before_.contains(name)) return false;
  Connection& connection = found->second;
  Entry& entry = AddLocked(name, std::move(stream));
  entry.connection = &connection;
  entry.next = connection.first;
  if (entry.next != nullptr) entry.next->previous = &entry;
  connection.first = &entry;
  return true;
}

void OpenStreams::BeginUnreachable(std::string_view id, OpenStream stream) {
  base::MutexLock lock(mutex_);
  AddLocked(StreamId::Of(id), std::move(stream));
}

OpenStreams::Entry& OpenStreams::AddLocked(const StreamId& id, OpenStream stream) {
  const auto [at, is_new] = streams_.try_emplace(id);
  Entry& entry = at->second;
  if (!is_new) Unchain(entry);
  entry.stream = std::move(stream);
  entry.id = id;
  return entry;
}

void OpenStreams::Unchain(Entry& entry) {
  if (entry.previous != nullptr) entry.previous->next = entry.next;
  if (entry.next != nullptr) entry.next->previous = entry.previous;
  if (entry.connection != nullptr && entry.connection->first == &entry) {
    entry.connection->first = entry.next;
  }
  entry.connection = nullptr;
  entry.previous = entry.next = nullptr;
}

void OpenStreams::End(std::string_view id) {
  base::MutexLock lock(mutex_);
  const StreamId name = StreamId::Of(id);
  const auto found = streams_.find(name);
  if (found != streams_.end()) return EndLocked(found);
  if (early_.size() >= kEarlyEnds) early_before_ = std::exchange(early_, {});
  early_.insert(name);
}

void OpenStreams::EndLocked(Streams::iterator stream) {
  Connection* connection = stream->second.connection;
  Unchain(stream->second);
  streams_.erase(stream);
  const bool is_over =
      connection != nullptr && connection->first == nullptr && connection->leg == Leg::kExplicit;
  if (is_over) connections_.erase(connections_.find(connection->peer));
  if (waiting_ > 0) ended_.NotifyAll();
}

void OpenStreams::DropLocked(Connections::iterator connection) {
  for (Entry* entry = connection->second.first; entry != nullptr;) {
    const StreamId id = entry->id;
    entry = entry->next;
    streams_.erase(id);
  }
  connections_.erase(connection);
  if (waiting_ > 0) ended_.NotifyAll();
}

OpenStreams::Found OpenStreams::Find(const Whose& whose) const {
  Found found;
  base::MutexLock lock(mutex_);
  std::unordered_set<const Connection*> seen;
  for (const auto& [id, entry] : streams_) {
    if (!whose(entry.stream)) continue;
    if (entry.connection == nullptr) {
      ++found.unreachable;
      continue;
    }
    ++found.streams;
    if (seen.insert(entry.connection).second) found.sockets.push_back(entry.connection->socket);
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
  ++waiting_;
  std::size_t open = CountLocked(whose);
  for (base::BootTime now; open > 0 && (now = clock.BootNow()) < deadline;) {
    ended_.WaitFor(mutex_, deadline - now);
    open = CountLocked(whose);
  }
  --waiting_;
  return open;
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
