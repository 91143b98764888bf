// What must survive a restart: sessions, revocations, policy revisions; and for edges that share
// them, their public signing keys, the sequence of all changes and the leases of the edges.
//
// Errors:   kUnavailable locked, corrupt, full, or the database is away: what the method would have
//           changed is unchanged, save that a connection lost during the commit leaves it unknown
//           (doing it again is harmless); kDeadlineExceeded the same, too slow; kNotFound;
//           kAlreadyExists; kOutOfRange as each method says; kFailedPrecondition a schema newer
//           than this program, or a database of another. A method that returns ok has committed
//           durably (SQLite: WAL, synchronous=FULL; PostgreSQL: synchronous_commit=on). After an
//           error the same object works again as soon as the database does.
// Threads:  one thread owns a Store; callers hand it work through a queue. A follower of changes
//           opens a Store of its own, since WaitForChange keeps its thread.
// Source:   docs/adr/0006-store.md, docs/adr/0014-shared-store.md
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace exeat::store {

struct SessionRow {
  std::string sid;
  std::string sub;
  std::string jti;  // of the newest token
  std::vector<std::string> grants;
  base::UnixSeconds created_at = 0;
  base::UnixSeconds expires_at = 0;  // of the newest token
  bool operator==(const SessionRow&) const = default;
};

enum class RevokedKind { kSession, kTokenId, kSubject, kAll };

struct RevocationKey {
  RevokedKind kind = RevokedKind::kSession;
  std::string id;  // empty for kAll
  auto operator<=>(const RevocationKey&) const = default;
};

struct RevocationRow {
  RevokedKind kind = RevokedKind::kSession;
  std::string id;  // empty for kAll
  std::string reason;
  base::UnixSeconds revoked_at = 0;
  base::UnixSeconds expires_at = 0;  // after which no token it could stop is alive; 0: never
  bool operator==(const RevocationRow&) const = default;
};

struct PolicyRevision {
  std::uint64_t revision = 0;  // from 1
  std::string text;            // the YAML as applied
  std::string base_directory;  // relative paths in it start here
  base::UnixSeconds applied_at = 0;
};

// The public half of a key with which an edge signs tokens, so that all of them verify those.
struct PublicKeyRow {
  std::string kid;
  std::string jwk;                   // JSON, RFC 7517
  base::UnixSeconds expires_at = 0;  // after which no token of it is alive, unless it is put again
  bool operator==(const PublicKeyRow&) const = default;
};

// How far a reader has come in the changes of one database.
struct Position {
  std::string timeline;   // another one after a failover, a restore or a new database
  std::uint64_t seq = 0;  // of the newest change that is known; 0: before the first
  bool operator==(const Position&) const = default;
};

// What a change did. A revocation comes whole, so that one that was put and deleted again is seen
// to have been put: what it cut stays cut.
struct SessionPut {
  std::string sid;
  base::UnixSeconds expires_at = 0;
  bool operator==(const SessionPut&) const = default;
};
struct RevocationPut {
  RevocationRow row;
  bool operator==(const RevocationPut&) const = default;
};
struct RevocationDeleted {  // restored, or pruned
  RevocationKey key;
  bool operator==(const RevocationDeleted&) const = default;
};
struct PolicyAppended {
  std::uint64_t revision = 0;
  bool operator==(const PolicyAppended&) const = default;
};
struct PublicKeyPut {
  PublicKeyRow row;
  bool operator==(const PublicKeyPut&) const = default;
};
struct PublicKeyDeleted {  // withdrawn, or pruned
  std::string kid;
  bool operator==(const PublicKeyDeleted&) const = default;
};

struct Change {
  std::uint64_t seq = 0;  // from 1, without a gap, in the order of the commits
  std::variant<SessionPut, RevocationPut, RevocationDeleted, PolicyAppended, PublicKeyPut,
               PublicKeyDeleted>
      what;
  bool operator==(const Change&) const = default;
};

// An edge that may still be serving.
struct EdgeLease {
  std::string edge;
  std::uint64_t applied = 0;         // the newest change that it has put in force
  std::uint64_t renewals = 0;        // grows with each renewal
  std::chrono::milliseconds age{0};  // since the newest, on the database's own clock
};

// What ReadAll calls for each row; the row is borrowed for the call. What is empty is not read.
struct Rows {
  std::function<void(const SessionRow&)> session;
  std::function<void(const RevocationRow&)> revocation;
  std::function<void(const PublicKeyRow&)> public_key;
};

// At least so many of the newest changes outlive a DeleteEnded.
inline constexpr std::uint64_t kKeptChanges = 20'000;

class Store {
 public:
  virtual ~Store() = default;

  // kAlreadyExists when the sid is taken.
  virtual base::Status InsertSession(const SessionRow& row) = 0;
  // kNotFound when there is no such sid.
  virtual base::Status UpdateSession(const SessionRow& row) = 0;
  virtual base::StatusOr<SessionRow> FindSession(const std::string& sid) = 0;

  // Inserts or replaces the entries with these kinds and ids, all or none; of two with one key the
  // last counts. The answer is the sequence of the last change: an edge that has applied it has
  // them all. kInvalidArgument as CheckRevocationKey, or no rows.
  virtual base::StatusOr<std::uint64_t> PutRevocations(std::span<const RevocationRow> rows) = 0;
  // All or none, as above. kNotFound names the first that is not there.
  virtual base::StatusOr<std::uint64_t> DeleteRevocations(std::span<const RevocationKey> keys) = 0;
  // Deletes sessions, revocations and public keys that ended before `ended_before`; revocations
  // with 0 stay. Answers the revocations it deleted. A shared database deletes nothing that its own
  // clock calls alive.
  virtual base::StatusOr<std::vector<RevocationKey>> DeleteEnded(
      base::UnixSeconds ended_before) = 0;

  // Stores the text as the next revision and returns its number.
  virtual base::StatusOr<std::uint64_t> AppendPolicy(const std::string& text,
                                                     const std::string& base_directory,
                                                     base::UnixSeconds applied_at) = 0;
  // nullopt when none was ever applied.
  virtual base::StatusOr<std::optional<PolicyRevision>> LatestPolicy() = 0;

  // Inserts or replaces these public keys, none twice among them; the answer is as above.
  // kInvalidArgument one without a kid.
  virtual base::StatusOr<std::uint64_t> PutPublicKeys(std::span<const PublicKeyRow> rows) = 0;
  // Deletes those of them that are there; the answer is the newest change.
  virtual base::StatusOr<std::uint64_t> DeletePublicKeys(std::span<const std::string> kids) = 0;

  // Sessions whose newest token ends after `alive_after`, all revocations and all public keys, in
  // no order, as they stood at one moment; the answer is that moment, for ChangesAfter. After an
  // error what was visited is worth nothing.
  virtual base::StatusOr<Position> ReadAll(base::UnixSeconds alive_after, const Rows& rows) = 0;
  // The next changes, at most `limit` of them, oldest first and without a gap; none: it is up to
  // date. kOutOfRange when they are not kept any more or the timeline is another: read all again.
  virtual base::StatusOr<std::vector<Change>> ChangesAfter(const Position& position,
                                                           std::size_t limit) = 0;
  // True as soon as there is a change after `seq`, false when `timeout` has passed without one.
  // SQLite answers at once: its only writer is the caller.
  virtual base::StatusOr<bool> WaitForChange(std::uint64_t seq,
                                             std::chrono::milliseconds timeout) = 0;

  // Renews the lease of `edge`, or grants a first one. Answers the newest change there is.
  // kFailedPrecondition there is no lease (any more) and `applied` is behind: apply what is missing
  // and ask again; kOutOfRange as ChangesAfter. The caller's lease counts from before the call.
  virtual base::StatusOr<std::uint64_t> RenewLease(const std::string& edge,
                                                   const Position& applied) = 0;
  // Every edge whose lease nobody has ended. An edge that is not among them after a change was
  // committed gets no lease before it has applied that change.
  virtual base::StatusOr<std::vector<EdgeLease>> LiveEdges() = 0;
  // Ends a lease unless it was renewed since `renewals` was read: then false. Whoever ends another
  // edge's has watched `renewals` stand still for longer than a lease, on its own BootTime.
  virtual base::StatusOr<bool> EndLease(const std::string& edge, std::uint64_t renewals) = 0;

  // The above for one entry, without the answer, and in order.
  base::Status PutRevocation(const RevocationRow& row);
  base::Status DeleteRevocation(RevokedKind kind, const std::string& id);
  base::Status Prune(base::UnixSeconds ended_before);
  // Sessions whose newest token ends after `alive_after`, oldest first; then by sid.
  base::StatusOr<std::vector<SessionRow>> ListSessions(base::UnixSeconds alive_after);
  // Oldest first; then by kind and id.
  base::StatusOr<std::vector<RevocationRow>> ListRevocations();
};

// kInvalidArgument unless exactly kAll comes without an id: an entry with an empty one would be
// acknowledged and stop nothing.
base::Status CheckRevocationKey(RevokedKind kind, const std::string& id);

struct SqliteOptions {
  std::chrono::milliseconds busy_timeout{2000};  // how long a write waits for another process
};

// Opens or makes `path` (mode 0600) and migrates it forward. Its directory must exist and be
// private. A file that is empty is damage, not a new database.
base::StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& path,
                                                  SqliteOptions options = {});

struct PostgresqlOptions {
  std::string url;            // postgresql://USER@HOST[:PORT]/DATABASE[?...], without a password
  std::string password_file;  // read at each connection; empty: none is sent
  // A connection, a statement and the wait for another edge's lock each end after this.
  std::chrono::milliseconds patience{2000};
};

// Connects and migrates the schema `exeat` forward; several may do so at once. Refused
// (kFailedPrecondition, saying what to do) are servers older than 15, those that do not wait for
// the disk, a URL with a password, and weaker transport than the URL's host needs
// (postgresql_address.h). Every connection is checked so, the later ones too.
base::StatusOr<std::unique_ptr<Store>> OpenPostgresql(const PostgresqlOptions& options);

}  // namespace exeat::store
