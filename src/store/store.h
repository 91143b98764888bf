// What must survive a restart: sessions, revocations, policy revisions.
//
// Errors:   kUnavailable locked, corrupt or full: nothing was changed; kNotFound; kAlreadyExists;
//           kFailedPrecondition a schema newer than this program, or a file of another; a method
//           that returns ok has committed durably (SQLite: WAL, synchronous=FULL).
// Threads:  one thread owns a Store; callers hand it work through a queue.
// Source:   docs/adr/0006-store.md
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
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

class Store {
 public:
  virtual ~Store() = default;

  // kAlreadyExists when the sid is taken.
  virtual base::Status InsertSession(const SessionRow& row) = 0;
  // kNotFound when there is no such sid.
  virtual base::Status UpdateSession(const SessionRow& row) = 0;
  virtual base::StatusOr<SessionRow> FindSession(const std::string& sid) = 0;
  // Sessions whose newest token ends after `alive_after`, oldest first; then by sid.
  virtual base::StatusOr<std::vector<SessionRow>> ListSessions(base::UnixSeconds alive_after) = 0;

  // Inserts or replaces the entry with this kind and id. kInvalidArgument as CheckRevocationKey.
  virtual base::Status PutRevocation(const RevocationRow& row) = 0;
  // kNotFound when there is none.
  virtual base::Status DeleteRevocation(RevokedKind kind, const std::string& id) = 0;
  // Oldest first; then by kind and id.
  virtual base::StatusOr<std::vector<RevocationRow>> ListRevocations() = 0;
  // Deletes sessions and revocations that ended before `ended_before`; entries with 0 stay.
  virtual base::Status Prune(base::UnixSeconds ended_before) = 0;

  // Stores the text as the next revision and returns its number.
  virtual base::StatusOr<std::uint64_t> AppendPolicy(const std::string& text,
                                                     const std::string& base_directory,
                                                     base::UnixSeconds applied_at) = 0;
  // nullopt when none was ever applied.
  virtual base::StatusOr<std::optional<PolicyRevision>> LatestPolicy() = 0;
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

}  // namespace exeat::store
