#include "store/migrations.h"

#include <array>

#include "fmt/format.h"

namespace exeat::store {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::array kSteps = {
    // 1
    R"(CREATE TABLE session (
         sid        TEXT NOT NULL PRIMARY KEY,
         sub        TEXT NOT NULL,
         jti        TEXT NOT NULL,
         grants     TEXT NOT NULL,
         created_at INTEGER NOT NULL,
         expires_at INTEGER NOT NULL
       ) STRICT;
       CREATE INDEX session_by_end ON session (expires_at);
       CREATE TABLE revocation (
         kind       INTEGER NOT NULL,
         id         TEXT NOT NULL,
         reason     TEXT NOT NULL,
         revoked_at INTEGER NOT NULL,
         expires_at INTEGER NOT NULL,
         PRIMARY KEY (kind, id)
       ) STRICT;
       CREATE TABLE policy (
         revision       INTEGER PRIMARY KEY AUTOINCREMENT,
         text           TEXT NOT NULL,
         base_directory TEXT NOT NULL,
         applied_at     INTEGER NOT NULL
       ) STRICT;)",
    // 2
    R"(CREATE TABLE revocation_by_key (
         kind       INTEGER NOT NULL,
         id         TEXT NOT NULL,
         reason     TEXT NOT NULL,
         revoked_at INTEGER NOT NULL,
         expires_at INTEGER NOT NULL,
         PRIMARY KEY (kind, id)
       ) STRICT, WITHOUT ROWID;
       INSERT INTO revocation_by_key SELECT * FROM revocation;
       DROP TABLE revocation;
       ALTER TABLE revocation_by_key RENAME TO revocation;
       CREATE TABLE change (
         seq    INTEGER PRIMARY KEY,
         kind   INTEGER NOT NULL,
         number INTEGER NOT NULL,
         id     TEXT NOT NULL,
         reason TEXT NOT NULL,
         begins INTEGER NOT NULL,
         ends   INTEGER NOT NULL,
         at     INTEGER NOT NULL DEFAULT (unixepoch())
       ) STRICT;)",
    // 3
    R"(CREATE TABLE public_key (
         kid        TEXT NOT NULL PRIMARY KEY,
         jwk        TEXT NOT NULL,
         expires_at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID;)",
};

}  // namespace

std::int64_t NewestSchema() { return static_cast<std::int64_t>(kSteps.size()); }

base::Status Migrate(const Database& database, bool is_new, const std::string& path) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database));
  ASSIGN_OR_RETURN(const std::int64_t application, database.QueryNumber("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const std::int64_t version, database.QueryNumber("PRAGMA user_version"));
  if (!is_new && application != kApplicationId) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": not a database of exeat; choose another path or move it away");
  }
  if (version > NewestSchema()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: schema version {}, this program knows up to {}; use the "
                                  "newer program or restore a backup",
                                  path, version, NewestSchema()));
  }
  if (version < 0 || (!is_new && version == 0)) {
    return MakeStatus(
        StatusCode::kUnavailable,
        fmt::format("{}: schema version {} is damage; restore it from a backup", path, version));
  }
  if (version == NewestSchema()) return absl::OkStatus();
  for (std::int64_t step = version; step < NewestSchema(); ++step) {
    RETURN_IF_ERROR(database.Execute(kSteps.at(static_cast<std::size_t>(step))));
  }
  RETURN_IF_ERROR(database.Execute(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}",
                                               kApplicationId, NewestSchema())));
  return transaction.Commit();
}

}  // namespace exeat::store
