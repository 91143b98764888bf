// Every stream that a verified session has open, and the guest's connection that carries it.
//
// Why here:   Envoy asks once a stream, so whoever takes a session's right away must end what is
//             already running; and what is open is what concurrency means.
// Shapes:     a connection is named by the guest's end as Check sees it, "IP:PORT"; a stream by
//             Envoy's id of it (x-request-id). A tunnel is a stream, and each request in it. A
//             guest may dial two of the edge's addresses from one port: that is one name for two
//             sockets, and they end together.
// Carried:    an answer that has ended for Envoy may still lie unread in the kernel, so a
//             connection remembers for whom it carried what, and is meant for that, too.
// Order:      Check registers a stream and only then reads what denies it for the last time; a
//             revoke denies first and then looks for streams. So each revoke sees every stream that
//             was allowed before it.
// Fail mode:  an end that is never told keeps a stream open here until its connection is gone.
// Units:      now in CLOCK_BOOTTIME; a token's end in UTC seconds.
// Threads:    safe concurrently; one lock, held for a look-up, or for one pass over what is open.
// Source:     docs/adr/0015-open-streams.md
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
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
  // Of the policy that allowed it. Null when a connection carried more than it remembers: then
  // whatever these claims allowed.
  std::shared_ptr<const policy::Destination> destination;
  const policy::AllowRule* rule = nullptr;  // of that destination; null where it has none
  std::uint16_t port = 0;
  bool is_tunnel = false;  // a CONNECT, not a request
  bool is_vetted = false;  // a tunnel whose requests Check is not asked about, so they are not here
  base::BootTime over_by{};  // when Envoy has ended it by itself; zero: only when it is cut
};

// Which streams are meant; called under the lock, so it must be quick and not call back.
using Whose = std::function<bool(const OpenStream&)>;

enum class Begun { kOpen, kUnknownConnection, kTooMany, kEndedAlready };

// What became of a stream that asked to begin.
struct Admission {
  Admission(Begun what, std::chrono::milliseconds longest = {}) : begun(what), lasts(longest) {}
  Begun begun;
  std::chrono::milliseconds lasts;  // Envoy must end it after so long; zero: it will be cut
};

class OpenStreams {
 public:
  // From here on `peer` is this connection, too. It is kept until its socket is told to be closed
  // or gone.
  void Connected(std::string_view peer, const base::SocketId& socket);
  // The sockets that this name stands for already.
  std::vector<base::SocketId> SocketsOf(std::string_view peer) const;
  // A connection of this name cannot be seen: nothing begins under it until it is Connected.
  void Refuse(std::string_view peer);

  // Nothing is registered unless it is kOpen. An id that is open already is replaced.
  Begun Begin(std::string_view peer, std::string_view id, OpenStream stream);
  // Registers what is on no known connection: kOpen or kEndedAlready.
  Begun BeginUnreachable(std::string_view id, OpenStream stream);
  // One that is not open yet is remembered for a while: Check and the end records come on two ways
  // without an order, and a guest may be gone before Check has decided.
  void End(std::string_view id);
  // As End for one that may never begin, so that it is not remembered.
  void EndIfOpen(std::string_view id);

  struct Found {
    std::vector<base::SocketId> sockets;  // each once
    std::size_t streams = 0;              // open on those sockets and of those meant
    std::size_t idle = 0;                 // connections that only carried such a stream
    std::size_t unreachable = 0;          // meant, but on no known socket
    std::size_t left() const { return streams + idle + unreachable; }
  };
  Found Find(const Whose& whose) const;
  // Whose token ended by `cutoff`. What has ended is not meant where the same session carried on
  // with a later token. Looks at nothing while nothing can be due.
  Found FindExpired(base::UnixSeconds cutoff);

  // Envoy has closed these: whatever they carried has ended.
  void Closed(const std::vector<std::uint64_t>& cookies);
  // Envoy has ended.
  void Clear();
  // The kernel does not hold these any more: forgets them at once where no stream is open, else
  // after `kLostAfter`, for the ends were lost.
  void Gone(const std::vector<std::uint64_t>& cookies, base::BootTime now);
  // Asks about each socket that is not among those alive, without the lock, and forgets the gone.
  void Sweep(const std::unordered_set<std::uint64_t>& alive,
             const std::function<bool(const base::SocketId&)>& exists, base::BootTime now);

  // Forgets what is on no known connection and should have ended `kLostAfter` ago.
  void ForgetOverdue(base::BootTime now);

  // Waits until all these sockets are told to be closed or gone and one of the unreachable has
  // ended, or time is over.
  void AwaitGone(const Found& found, std::chrono::milliseconds timeout, const base::Clock& clock);

  std::size_t streams() const;
  std::size_t connections() const;

  static constexpr std::chrono::seconds kLostAfter{10};
  static constexpr std::size_t kEarlyEnds = 16'384;       // at least so many are remembered
  static constexpr std::size_t kMaxPerConnection = 1024;  // streams open at once
  static constexpr std::size_t kCarried = 16;  // remembered one by one, then by their claims alone

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
  static constexpr base::UnixSeconds kNever = std::numeric_limits<base::UnixSeconds>::max();
  struct Connection;
  // Those of one connection are chained through themselves: a map's elements do not move.
  struct Entry {
    OpenStream stream;
    Connection* connection = nullptr;
    Entry* previous = nullptr;
    Entry* next = nullptr;
    StreamId id;
  };
  struct Socket {
    base::SocketId id;
    base::BootTime gone_since{};  // zero: the kernel held it at the last look
  };
  struct Connection {
    std::string_view peer;  // the key
    std::vector<Socket> sockets;
    Entry* first = nullptr;
    std::size_t open = 0;
    bool refuses = false;
    bool carried_more = false;             // than can be remembered: meant by everything
    base::UnixSeconds more_ends = kNever;  // the first of their tokens
    std::vector<OpenStream> carried;
  };
  using Streams = std::unordered_map<StreamId, Entry, IdHash>;
  using Ids = std::unordered_set<StreamId, IdHash>;
  using Cookies = std::unordered_set<std::uint64_t>;
  using Connections = std::unordered_map<std::string, Connection, PeerHash, std::equal_to<>>;

  Entry& AddLocked(const StreamId& id, OpenStream stream, Connection& connection) REQUIRES(mutex_);
  void RememberLocked(Connection& connection, const OpenStream& stream) REQUIRES(mutex_);
  static void Chain(Entry& entry, Connection& connection);
  static void Unchain(Entry& entry);
  bool EndLocked(const StreamId& id) REQUIRES(mutex_);
  bool HasEndedLocked(const StreamId& id) const REQUIRES(mutex_);
  static std::size_t Count(const Connection& connection, const Whose& whose);
  static void Add(const Connection& connection, std::size_t streams, Found& found);
  static bool ForgetRenewed(Connection& connection, base::UnixSeconds cutoff);
  void DropSocketLocked(std::uint64_t cookie) REQUIRES(mutex_);
  void DropLocked(Connection& connection) REQUIRES(mutex_);
  void ForgetCookieLocked(std::uint64_t cookie) REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  base::CondVar ended_;
  Streams streams_ GUARDED_BY(mutex_);
  Connections connections_ GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, Connection*> by_cookie_ GUARDED_BY(mutex_);
  Connection unreachable_ GUARDED_BY(mutex_);
  base::UnixSeconds next_end_ GUARDED_BY(mutex_) =
      kNever;                                         // of the tokens carried, at the earliest
  Ids early_ GUARDED_BY(mutex_);                      // ended before they began
  Ids early_before_ GUARDED_BY(mutex_);               // the generation before
  std::vector<Cookies*> waiting_ GUARDED_BY(mutex_);  // what each AwaitGone still waits for
};

}  // namespace exeat::limits
