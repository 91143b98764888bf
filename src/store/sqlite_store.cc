#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "base/fd.h"
#include "base/file.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "store/migrations.h"
#include "store/sqlite.h"
#include "store/store.h"

namespace exeat::store {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

StatusOr<std::string> EncodeGrants(const std::vector<std::string>& grants) {
  try {
    return nlohmann::json(grants).dump();
  } catch (const nlohmann::json::exception&) {
    return MakeStatus(StatusCode::kInvalidArgument, "a grant's name is not UTF-8");
  }
}

StatusOr<std::vector<std::string>> DecodeGrants(const std::string& sid, const std::string& text) {
  const auto damaged = [&] {
    return MakeStatus(StatusCode::kUnavailable,
                      fmt::format("session {}: its stored grants are damaged", sid));
  };
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return damaged();
  std::vector<std::string> grants;
  for (const auto& grant : json) {
    if (!grant.is_string()) return damaged();
    grants.push_back(grant.get<std::string>());
  }
  return grants;
}

constexpr char kSessionColumns[] =
    "SELECT sid, sub, jti, grants, created_at, expires_at FROM session";

StatusOr<SessionRow> ReadSession(const Statement& statement) {
  SessionRow row;
  row.sid = statement.Text(0);
  row.sub = statement.Text(1);
  row.jti = statement.Text(2);
  ASSIGN_OR_RETURN(row.grants, DecodeGrants(row.sid, statement.Text(3)));
  row.created_at = statement.Number(4);
  row.expires_at = statement.Number(5);
  return row;
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Status InsertSession(const SessionRow& row) override {
    ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)"));
    const Status inserted = statement.Bind(row.sid)
                                .Bind(row.sub)
                                .Bind(row.jti)
                                .Bind(grants)
                                .Bind(row.created_at)
                                .Bind(row.expires_at)
                                .Run();
    if (inserted.code() != StatusCode::kAlreadyExists) return inserted;
    return MakeStatus(StatusCode::kAlreadyExists, "session " + row.sid + " is there already");
  }

  Status UpdateSession(const SessionRow& row) override {
    ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
    ASSIGN_OR_RETURN(
        Statement statement,
        database_->Prepare("UPDATE session SET sub = ?, jti = ?, grants = ?, created_at = ?, "
                           "expires_at = ? WHERE sid = ?"));
    RETURN_IF_ERROR(statement.Bind(row.sub)
                        .Bind(row.jti)
                        .Bind(grants)
                        .Bind(row.created_at)
                        .Bind(row.expires_at)
                        .Bind(row.sid)
                        .Run());
    return database_->changes() == 1 ? absl::OkStatus() : NoSession(row.sid);
  }

  StatusOr<SessionRow> FindSession(const std::string& sid) override {
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare(fmt::format("{} WHERE sid = ?", kSessionColumns).c_str()));
    ASSIGN_OR_RETURN(const bool found, statement.Bind(sid).Step());
    if (!found) return NoSession(sid);
    return ReadSession(statement);
  }

  StatusOr<std::vector<SessionRow>> ListSessions(base::UnixSeconds alive_after) override {
    ASSIGN_OR_RETURN(
        Statement statement,
        database_->Prepare(
            fmt::format("{} WHERE expires_at > ? ORDER BY created_at, sid", kSessionColumns)
                .c_str()));
    statement.Bind(alive_after);
    std::vector<SessionRow> rows;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, statement.Step());
      if (!more) return rows;
      ASSIGN_OR_RETURN(SessionRow row, ReadSession(statement));
      rows.push_back(std::move(row));
    }
  }

  Status PutRevocation(const RevocationRow& row) override {
    RETURN_IF_ERROR(CheckRevocationKey(row.kind, row.id));
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare("INSERT INTO revocation VALUES (?, ?, ?, ?, ?) "
                                        "ON CONFLICT (kind, id) DO UPDATE SET reason = "
                                        "excluded.reason, revoked_at = excluded.revoked_at, "
                                        "expires_at = excluded.expires_at"));
    return statement.Bind(static_cast<std::int64_t>(row.kind))
        .Bind(row.id)
        .Bind(row.reason)
        .Bind(row.revoked_at)
        .Bind(row.expires_at)
        .Run();
  }

  Status DeleteRevocation(RevokedKind kind, const std::string& id) override {
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare("DELETE FROM revocation WHERE kind = ? AND id = ?"));
    RETURN_IF_ERROR(statement.Bind(static_cast<std::int64_t>(kind)).Bind(id).Run());
    if (database_->changes() == 1) return absl::OkStatus();
    return MakeStatus(StatusCode::kNotFound, "no such revocation");
  }

  StatusOr<std::vector<RevocationRow>> ListRevocations() override {
    ASSIGN_OR_RETURN(
        Statement statement,
        database_->Prepare("SELECT kind, id, reason, revoked_at, expires_at FROM revocation "
                           "ORDER BY revoked_at, kind, id"));
    std::vector<RevocationRow> rows;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, statement.Step());
      if (!more) return rows;
      const std::int64_t kind = statement.Number(0);
      // An entry that cannot be understood must not be skipped: it is a restriction.
      if (kind < 0 || kind > static_cast<std::int64_t>(RevokedKind::kAll)) {
        return MakeStatus(StatusCode::kUnavailable,
                          fmt::format("a stored revocation has the unknown kind {}", kind));
      }
      rows.push_back({static_cast<RevokedKind>(kind), statement.Text(1), statement.Text(2),
                      statement.Number(3), statement.Number(4)});
    }
  }

  Status Prune(base::UnixSeconds ended_before) override {
    ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
    ASSIGN_OR_RETURN(Statement sessions,
                     database_->Prepare("DELETE FROM session WHERE expires_at < ?"));
    RETURN_IF_ERROR(sessions.Bind(ended_before).Run());
    ASSIGN_OR_RETURN(
        Statement revocations,
        database_->Prepare("DELETE FROM revocation WHERE expires_at < ? AND expires_at <> 0"));
    RETURN_IF_ERROR(revocations.Bind(ended_before).Run());
    return transaction.Commit();
  }

  StatusOr<std::uint64_t> AppendPolicy(const std::string& text, const std::string& base_directory,
                                       base::UnixSeconds applied_at) override {
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare("INSERT INTO policy (text, base_directory, applied_at) "
                                        "VALUES (?, ?, ?) RETURNING revision"));
    ASSIGN_OR_RETURN(const bool row,
                     statement.Bind(text).Bind(base_directory).Bind(applied_at).Step());
    if (!row) return MakeStatus(StatusCode::kUnavailable, "the store gave no revision");
    const auto revision = static_cast<std::uint64_t>(statement.Number(0));
    // Only the step that ends the statement commits it.
    ASSIGN_OR_RETURN([[maybe_unused]] const bool more, statement.Step());
    return revision;
  }

  StatusOr<std::optional<PolicyRevision>> LatestPolicy() override {
    ASSIGN_OR_RETURN(Statement statement,
                     database_->Prepare("SELECT revision, text, base_directory, applied_at FROM "
                                        "policy ORDER BY revision DESC LIMIT 1"));
    ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return std::optional<PolicyRevision>();
    PolicyRevision revision;
    revision.revision = static_cast<std::uint64_t>(statement.Number(0));
    revision.text = statement.Text(1);
    revision.base_directory = statement.Text(2);
    revision.applied_at = statement.Number(3);
    return std::optional<PolicyRevision>(std::move(revision));
  }

 private:
  static Status NoSession(const std::string& sid) {
    return MakeStatus(StatusCode::kNotFound, "no session " + sid);
  }

  std::unique_ptr<Database> database_;
};

// The directory must be there and private: the write-ahead log and SQLite's own files stand in it.
Status CheckDirectory(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  struct stat info{};
  if (lstat(directory.c_str(), &info) != 0) return ErrnoStatus(errno, directory);
  return base::EnsurePrivateDirectory(directory);
}

// True when a database file stands at `path`; an error when something else does.
StatusOr<bool> CheckFile(const std::string& path) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return ErrnoStatus(errno, path);
  }
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      path + ": not a regular file of this user; choose another path");
  }
  if ((info.st_mode & 077) != 0) {
    return MakeStatus(StatusCode::kFailedPrecondition,
                      fmt::format("{}: mode {:04o} lets others in; run: chmod 600 {}", path,
                                  info.st_mode & 07777U, path));
  }
  if (info.st_size == 0) {
    return MakeStatus(StatusCode::kUnavailable,
                      path +
                          ": empty, so what it held is lost; restore it from a backup or remove "
                          "it to start without sessions and revocations");
  }
  return true;
}

Status Configure(const Database& database) {
  ASSIGN_OR_RETURN(const std::string mode, database.QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return MakeStatus(StatusCode::kUnavailable, "the file system does not allow SQLite's WAL");
  }
  return database.Execute(
      "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON");
}

// Builds the schema under another name and links it into place complete: a crash on the way leaves
// no half-made database, and so an empty one is always damage.
Status Create(const std::string& path, std::chrono::milliseconds busy_timeout) {
  std::string temporary = path + ".new-XXXXXX";
  {
    base::UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (!fd.valid()) return ErrnoStatus(errno, path);
  }
  Status made = [&]() -> Status {
    ASSIGN_OR_RETURN(auto database, Database::Open(temporary, busy_timeout));
    return Migrate(*database, /*is_new=*/true, path);
  }();
  // Another process may have been first; its file is as good.
  if (made.ok() && link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    made = ErrnoStatus(errno, path);
  }
  unlink(temporary.c_str());
  unlink((temporary + "-journal").c_str());
  RETURN_IF_ERROR(made);
  base::UniqueFd directory(open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || fsync(directory.get()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenSqlite(const std::string& path, SqliteOptions options) {
  RETURN_IF_ERROR(CheckDirectory(path));
  ASSIGN_OR_RETURN(const bool exists, CheckFile(path));
  if (!exists) RETURN_IF_ERROR(Create(path, options.busy_timeout));
  ASSIGN_OR_RETURN(auto database, Database::Open(path, options.busy_timeout));
  // Before anything is written into a file that may be another program's.
  RETURN_IF_ERROR(Migrate(*database, /*is_new=*/false, path));
  RETURN_IF_ERROR(Configure(*database));
  ASSIGN_OR_RETURN(const std::string check, database->QueryText("PRAGMA quick_check(1)"));
  if (check != "ok") return database->Error(SQLITE_CORRUPT);
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(std::move(database)));
}

}  // namespace exeat::store
