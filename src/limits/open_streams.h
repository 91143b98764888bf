// Every stream that a verified session has open, and the guest's connection that carries it.
//
// Why here:   Envoy asks once a stream, so whoever takes a session's right away must end what is
//             already running; and what is open is what concurrency means.
// Shapes:     a connection is named by the guest's end as Check sees it, "IP:PORT"; a stream by
//             Envoy's id of it (x-request-id). A tunnel is a stream, and each request in it.
// Order:      Check registers a stream and only then reads what denies it for the last time; a
//             revoke denies first and then looks for streams. So each revoke sees every stream that
//             was allowed before it.
// Fail mode:  an end that is never told keeps a stream open here until its connection is gone.
// Units:      now in CLOCK_BOOTTIME.
// Threads:    safe concurrently; one lock, held for a look-up, or for one pass over what is open.
// Source:     docs/adr/0015-open-streams.md
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/socket_id.h"
#include "policy/policy.h"
#include "session/verified_claims.h"

namespace exeat::limits {

struct OpenStream {
  std::shared_ptr<const session::VerifiedClaims> claims;
  std::shared_ptr<const policy::Destination> destination;  // of the policy that allowed it
  std::uint16_t port = 0;
  bool is_tunnel = false;  // a CONNECT, not a request
};

// Which streams are meant; called under the lock, so it must be quick and not call back.
using Whose = std::function<bool(const OpenStream&)>;

class OpenStreams {
 public:
  enum class Leg { kExplicit, kTransparent };

  // From here on `peer` is this connection. A tunnel's is forgotten with its last stream; one of
  // the transparent leg, which is told of once, when it is gone.
  void Connected(std::string_view peer, const base::SocketId& socket, Leg leg);

  // `peer` is no connection that is known; what it carried before has ended.
  void Forget(std::string_view peer);

  // False, and nothing is registered, when no connection of `peer` is known: it could not be cut;
  // or when the stream has ended already. An id that is open already is replaced.
  bool Begin(std::string_view peer, std::string_view id, OpenStream stream);
  // Registers what cannot be cut.
  void BeginUnreachable(std::string_view id, OpenStream stream);
  // One that is not open yet is remembered for a while: Check and the end records come on two ways
  // without an order, and a guest may be gone before Check has decided.
  void End(std::string_view id);

  struct Found {
    std::vector<base::SocketId> sockets;  // each once
    std::size_t streams = 0;              // on those sockets and of those meant
    std::size_t unreachable = 0;          // meant, but on no known socket
  };
  Found Find(const Whose& whose) const;

  // Envoy has closed these: whatever they carried has ended.
  void Closed(const std::vector<std::uint64_t>& cookies);
  // Envoy has ended.
  void Clear();
  // Forgets connections that are not among the kernel's for longer than `kLostAfter`, with what
  // they carry: their end was lost.
  void Sweep(const std::unordered_set<std::uint64_t>& alive, base::BootTime now);

  // Waits until none of those meant is open; how many still are after `timeout`.
  std::size_t AwaitNone(const Whose& whose, std::chrono::milliseconds timeout,
                        const base::Clock& clock);

  std::size_t streams() const;
  std::size_t connections() const;

  static constexpr std::chrono::seconds kLostAfter{10};
  static constexpr std::size_t kEarlyEnds = 16'384;  // at least so many are remembered

 private:
  // The text itself, padded: Envoy's are UUIDs of 36 characters. A longer one is hashed.
  struct StreamId {
    std::array<char, 40> text{};
    static StreamId Of(std::string_view text);
    bool operator==(const StreamId&) const = default;
  };
  struct IdHash {
    std::size_t operator()(const StreamId& id) const {
      return std::hash<std::string_view>()({id.text.data(), id.text.size()});
    }
  };
  struct PeerHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view peer) const {
      return std::hash<std::string_view>()(peer);
    }
  };
  struct Connection;
  // Those of one connection are chained through themselves: a map's elements do not move.
  struct Entry {
    OpenStream stream;
    Connection* connection = nullptr;  // null: unreachable
    Entry* previous = nullptr;
    Entry* next = nullptr;
    StreamId id;
  };
  struct Connection {
    base::SocketId socket;
    Leg leg = Leg::kExplicit;
    Entry* first = nullptr;
    base::BootTime missing_since{};  // zero: was there at the last look
    std::string peer;
  };
  using Streams = std::unordered_map<StreamId, Entry, IdHash>;
  using Ids = std::unordered_set<StreamId, IdHash>;
  using Connections = std::unordered_map<std::string, Connection, PeerHash, std::equal_to<>>;

  Entry& AddLocked(const StreamId& id, OpenStream stream) REQUIRES(mutex_);
  static void Unchain(Entry& entry);
  void EndLocked(Streams::iterator stream) REQUIRES(mutex_);
  void DropLocked(Connections::iterator connection) REQUIRES(mutex_);
  std::size_t CountLocked(const Whose& whose) const REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  base::CondVar ended_;
  Streams streams_ GUARDED_BY(mutex_);
  Connections connections_ GUARDED_BY(mutex_);
  Ids early_ GUARDED_BY(mutex_);         // ended before they began
  Ids early_before_ GUARDED_BY(mutex_);  // the generation before
  std::size_t waiting_ GUARDED_BY(mutex_) = 0;
};

}  // namespace exeat::limits
