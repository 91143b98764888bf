#include "limits/open_streams.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/digest.h"

namespace exeat::limits {
namespace {

bool SameToken(const OpenStream& a, const OpenStream& b) {
  return a.claims == b.claims || a.claims->identity.token == b.claims->identity.token;
}

bool SameRule(const policy::AllowRule* a, const policy::AllowRule* b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

// Whether what is remembered of `carried` holds for `stream` as well.
bool Covers(const OpenStream& carried, const OpenStream& stream) {
  if (!SameToken(carried, stream)) return false;
  if (carried.destination == nullptr) return true;
  if (carried.is_tunnel != stream.is_tunnel || carried.is_vetted != stream.is_vetted ||
      carried.port != stream.port) {
    return false;
  }
  if (carried.destination == stream.destination) return carried.rule == stream.rule;
  return stream.destination != nullptr && carried.destination->host == stream.destination->host &&
         SameRule(carried.rule, stream.rule);
}

// Forgets where to, so that each token stands there once.
void Blur(std::vector<OpenStream>& carried) {
  std::vector<OpenStream> blurred;
  for (OpenStream& one : carried) {
    const auto same = [&](const OpenStream& other) { return SameToken(other, one); };
    if (std::none_of(blurred.begin(), blurred.end(), same)) {
      blurred.push_back({.claims = std::move(one.claims)});
    }
  }
  carried = std::move(blurred);
}

}  // namespace

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

void OpenStreams::Connected(std::string_view peer, const base::SocketId& socket) {
  base::MutexLock lock(mutex_);
  auto found = connections_.find(peer);
  if (found == connections_.end()) {
    found = connections_.emplace(peer, Connection()).first;
    found->second.peer = found->first;
  }
  Connection& connection = found->second;
  connection.refuses = false;
  if (by_cookie_.try_emplace(socket.cookie, &connection).second) {
    connection.sockets.push_back({socket});
  }
}

std::vector<base::SocketId> OpenStreams::SocketsOf(std::string_view peer) const {
  std::vector<base::SocketId> sockets;
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found == connections_.end()) return sockets;
  for (const Socket& socket : found->second.sockets) sockets.push_back(socket.id);
  return sockets;
}

void OpenStreams::Refuse(std::string_view peer) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found != connections_.end()) found->second.refuses = true;
}

Begun OpenStreams::Begin(std::string_view peer, std::string_view id, OpenStream stream) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(peer);
  if (found == connections_.end() || found->second.refuses) return Begun::kUnknownConnection;
  Connection& connection = found->second;
  if (connection.open >= kMaxPerConnection) return Begun::kTooMany;
  const StreamId name = StreamId::Of(id);
  if (HasEndedLocked(name)) return Begun::kEndedAlready;
  RememberLocked(connection, AddLocked(name, std::move(stream), connection).stream);
  return Begun::kOpen;
}

Begun OpenStreams::BeginUnreachable(std::string_view id, OpenStream stream) {
  base::MutexLock lock(mutex_);
  const StreamId name = StreamId::Of(id);
  if (HasEndedLocked(name)) return Begun::kEndedAlready;
  AddLocked(name, std::move(stream), unreachable_);
  return Begun::kOpen;
}

bool OpenStreams::HasEndedLocked(const StreamId& id) const {
  return early_.contains(id) || early_before_.contains(id);
}

OpenStreams::Entry& OpenStreams::AddLocked(const StreamId& id, OpenStream stream,
                                           Connection& connection) {
  const auto [at, is_new] = streams_.try_emplace(id);
  Entry& entry = at->second;
  if (!is_new) Unchain(entry);
  entry.stream = std::move(stream);
  entry.id = id;
  Chain(entry, connection);
  return entry;
}

void OpenStreams::RememberLocked(Connection& connection, const OpenStream& stream) {
  std::vector<OpenStream>& carried = connection.carried;
  const auto is_remembered = [&] {
    for (OpenStream& one : carried) {
      if (!Covers(one, stream)) continue;
      if (one.destination != nullptr && one.destination != stream.destination) one = stream;
      return true;
    }
    return false;
  };
  if (is_remembered()) return;
  next_end_ = std::min(next_end_, stream.claims->exp);
  if (carried.size() >= kCarried) Blur(carried);
  if (is_remembered()) return;
  if (carried.size() < kCarried) {
    carried.push_back(stream);
  } else {
    connection.carried_more = true;
    connection.more_ends = std::min(connection.more_ends, stream.claims->exp);
  }
}

void OpenStreams::Chain(Entry& entry, Connection& connection) {
  entry.connection = &connection;
  entry.next = connection.first;
  if (entry.next != nullptr) entry.next->previous = &entry;
  connection.first = &entry;
  ++connection.open;
}

void OpenStreams::Unchain(Entry& entry) {
  if (entry.previous != nullptr) entry.previous->next = entry.next;
  if (entry.next != nullptr) entry.next->previous = entry.previous;
  if (entry.connection->first == &entry) entry.connection->first = entry.next;
  --entry.connection->open;
  entry.connection = nullptr;
  entry.previous = entry.next = nullptr;
}

void OpenStreams::End(std::string_view id) {
  base::MutexLock lock(mutex_);
  const StreamId name = StreamId::Of(id);
  if (EndLocked(name)) return;
  if (early_.size() >= kEarlyEnds) early_before_ = std::exchange(early_, {});
  early_.insert(name);
}

void OpenStreams::EndIfOpen(std::string_view id) {
  base::MutexLock lock(mutex_);
  (void)EndLocked(StreamId::Of(id));
}

bool OpenStreams::EndLocked(const StreamId& id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return false;
  const bool unreachable = found->second.connection == &unreachable_;
  Unchain(found->second);
  streams_.erase(found);
  if (unreachable && !waiting_.empty()) ended_.NotifyAll();
  return true;
}

void OpenStreams::DropSocketLocked(std::uint64_t cookie) {
  const auto found = by_cookie_.find(cookie);
  if (found == by_cookie_.end()) return;
  Connection& connection = *found->second;
  if (connection.sockets.size() == 1) return DropLocked(connection);
  std::erase_if(connection.sockets, [&](const Socket& one) { return one.id.cookie == cookie; });
  ForgetCookieLocked(cookie);
}

void OpenStreams::DropLocked(Connection& connection) {
  for (Entry* entry = connection.first; entry != nullptr;) {
    const StreamId id = entry->id;
    entry = entry->next;
    streams_.erase(id);
  }
  for (const Socket& socket : connection.sockets) ForgetCookieLocked(socket.id.cookie);
  connections_.erase(connections_.find(connection.peer));
}

void OpenStreams::ForgetCookieLocked(std::uint64_t cookie) {
  by_cookie_.erase(cookie);
  for (Cookies* wanted : waiting_) {
    if (wanted->erase(cookie) > 0 && wanted->empty()) ended_.NotifyAll();
  }
}

std::size_t OpenStreams::Count(const Connection& connection, const Whose& whose) {
  std::size_t count = 0;
  for (const Entry* entry = connection.first; entry != nullptr; entry = entry->next) {
    if (whose(entry->stream)) ++count;
  }
  return count;
}

void OpenStreams::Add(const Connection& connection, std::size_t streams, Found& found) {
  for (const Socket& socket : connection.sockets) found.sockets.push_back(socket.id);
  found.streams += streams;
  if (streams == 0) ++found.idle;
}

OpenStreams::Found OpenStreams::Find(const Whose& whose) const {
  Found found;
  base::MutexLock lock(mutex_);
  found.unreachable = Count(unreachable_, whose);
  for (const auto& [peer, connection] : connections_) {
    const auto& carried = connection.carried;
    if (connection.carried_more || std::any_of(carried.begin(), carried.end(), std::cref(whose))) {
      Add(connection, Count(connection, whose), found);
    }
  }
  return found;
}

// Whether what this connection carried is over. What the same session's later token answers for is
// forgotten.
bool OpenStreams::ForgetRenewed(Connection& connection, base::UnixSeconds cutoff) {
  std::vector<OpenStream>& carried = connection.carried;
  const auto is_renewed = [&](const OpenStream& one) {
    return std::any_of(carried.begin(), carried.end(), [&](const OpenStream& other) {
      return other.claims->exp > cutoff &&
             other.claims->identity.session == one.claims->identity.session;
    });
  };
  bool is_over = connection.more_ends <= cutoff;
  std::vector<OpenStream> kept;
  for (const OpenStream& one : carried) {
    const bool ended = one.claims->exp <= cutoff;
    if (ended && is_renewed(one)) continue;
    is_over = is_over || ended;
    kept.push_back(one);
  }
  carried = std::move(kept);
  return is_over;
}

OpenStreams::Found OpenStreams::FindExpired(base::UnixSeconds cutoff) {
  const Whose expired = [&](const OpenStream& one) { return one.claims->exp <= cutoff; };
  Found found;
  base::MutexLock lock(mutex_);
  if (next_end_ > cutoff) return found;
  next_end_ = kNever;
  for (auto& [peer, connection] : connections_) {
    const auto& carried = connection.carried;
    if (connection.more_ends <= cutoff ||
        std::any_of(carried.begin(), carried.end(), std::cref(expired))) {
      const std::size_t streams = Count(connection, expired);
      if (streams > 0 || ForgetRenewed(connection, cutoff)) Add(connection, streams, found);
    }
    next_end_ = std::min(next_end_, connection.more_ends);
    for (const OpenStream& one : carried) next_end_ = std::min(next_end_, one.claims->exp);
  }
  return found;
}

void OpenStreams::Closed(const std::vector<std::uint64_t>& cookies) {
  base::MutexLock lock(mutex_);
  for (const std::uint64_t cookie : cookies) DropSocketLocked(cookie);
}

void OpenStreams::Clear() {
  base::MutexLock lock(mutex_);
  streams_.clear();
  connections_.clear();
  by_cookie_.clear();
  unreachable_ = Connection();
  for (Cookies* wanted : waiting_) wanted->clear();
  ended_.NotifyAll();
}

void OpenStreams::Gone(const std::vector<std::uint64_t>& cookies, base::BootTime now) {
  base::MutexLock lock(mutex_);
  for (const std::uint64_t cookie : cookies) {
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) continue;
    Connection& connection = *found->second;
    const auto socket = std::find_if(connection.sockets.begin(), connection.sockets.end(),
                                     [&](const Socket& one) { return one.id.cookie == cookie; });
    if (socket->gone_since == base::BootTime{}) socket->gone_since = now;
    const bool is_lost = now - socket->gone_since >= kLostAfter;
    if (connection.open == 0 || is_lost) DropSocketLocked(cookie);
  }
}

void OpenStreams::Sweep(const std::unordered_set<std::uint64_t>& alive,
                        const std::function<bool(const base::SocketId&)>& exists,
                        base::BootTime now) {
  std::vector<base::SocketId> missing;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [peer, connection] : connections_) {
      for (const Socket& socket : connection.sockets) {
        if (!alive.contains(socket.id.cookie)) missing.push_back(socket.id);
      }
    }
  }
  std::vector<std::uint64_t> gone;
  for (const base::SocketId& socket : missing) {
    if (!exists(socket)) gone.push_back(socket.cookie);
  }
  Gone(gone, now);
}

void OpenStreams::ForgetOverdue(base::BootTime now) {
  base::MutexLock lock(mutex_);
  for (const Entry* entry = unreachable_.first; entry != nullptr;) {
    const Entry& one = *entry;
    entry = entry->next;
    const base::BootTime over_by = one.stream.over_by;
    if (over_by != base::BootTime{} && now >= over_by + kLostAfter) (void)EndLocked(one.id);
  }
}

void OpenStreams::AwaitGone(const Found& found, std::chrono::milliseconds timeout,
                            const base::Clock& clock) {
  const base::BootTime deadline = clock.BootNow() + timeout;
  base::MutexLock lock(mutex_);
  Cookies wanted;
  for (const base::SocketId& socket : found.sockets) {
    if (by_cookie_.contains(socket.cookie)) wanted.insert(socket.cookie);
  }
  const std::size_t unreachable = unreachable_.open;
  const auto waits = [&]() REQUIRES(mutex_) {
    return !wanted.empty() || (found.unreachable > 0 && unreachable_.open >= unreachable);
  };
  waiting_.push_back(&wanted);
  for (base::BootTime now; waits() && (now = clock.BootNow()) < deadline;) {
    ended_.WaitFor(mutex_, deadline - now);
  }
  std::erase(waiting_, &wanted);
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
