#include "store/postgresql_schema.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"

namespace exeat::store {
namespace {

using base::Status;
using base::StatusCode;
using base::StatusOr;

constexpr std::int64_t kOldestServer = 150000;
constexpr std::chrono::minutes kMigrationPatience{1};
constexpr std::int64_t kMigrationLock = 0x45584541;  // "EXEA"

constexpr std::array kSteps = {
    // 1. Text is bytea: it may hold any byte, and is compared bytewise whatever the locale.
    R"(CREATE TABLE exeat.store (
         alone   boolean PRIMARY KEY DEFAULT true CHECK (alone),
         version bigint NOT NULL,
         id      uuid NOT NULL DEFAULT gen_random_uuid()
       );
       INSERT INTO exeat.store (version) VALUES (0);
       CREATE TABLE exeat.session (
         sid        bytea PRIMARY KEY,
         sub        bytea NOT NULL,
         jti        bytea NOT NULL,
         grants     bytea NOT NULL,
         created_at bigint NOT NULL,
         expires_at bigint NOT NULL
       );
       CREATE INDEX session_by_end ON exeat.session (expires_at);
       CREATE TABLE exeat.revocation (
         kind       bigint NOT NULL,
         id         bytea NOT NULL,
         reason     bytea NOT NULL,
         revoked_at bigint NOT NULL,
         expires_at bigint NOT NULL,
         PRIMARY KEY (kind, id)
       );
       CREATE INDEX revocation_by_end ON exeat.revocation (expires_at) WHERE expires_at <> 0;
       CREATE TABLE exeat.policy (
         revision       bigint PRIMARY KEY,
         text           bytea NOT NULL,
         base_directory bytea NOT NULL,
         applied_at     bigint NOT NULL
       );
       CREATE TABLE exeat.change_counter (
         alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
         last  bigint NOT NULL
       );
       INSERT INTO exeat.change_counter (last) VALUES (0);
       CREATE TABLE exeat.change (
         seq    bigint PRIMARY KEY,
         kind   bigint NOT NULL,
         number bigint NOT NULL,
         id     bytea NOT NULL,
         reason bytea NOT NULL,
         begins bigint NOT NULL,
         ends   bigint NOT NULL,
         at     timestamptz NOT NULL DEFAULT clock_timestamp()
       );
       CREATE TABLE exeat.edge (
         id         bytea PRIMARY KEY,
         applied    bigint NOT NULL,
         renewals   bigint NOT NULL,
         renewed_at timestamptz NOT NULL
       );)",
    // 2
    R"(CREATE TABLE exeat.public_key (
         kid        bytea PRIMARY KEY,
         jwk        bytea NOT NULL,
         expires_at bigint NOT NULL
       );)",
};

Status CheckSetting(const Connection& connection, std::string_view name, std::string_view value,
                    std::initializer_list<std::string_view> allowed) {
  for (const std::string_view one : allowed) {
    if (value == one) return absl::OkStatus();
  }
  return connection.Error(
      StatusCode::kFailedPrecondition,
      fmt::format("{} is {}: what it acknowledges may be lost; set it to on for this server, "
                  "database and role",
                  name, value));
}

StatusOr<std::int64_t> Version(Connection& connection) {
  ASSIGN_OR_RETURN(
      const Answer there,
      connection.Run("SELECT count(*), count(*) FILTER (WHERE relname = 'store') FROM pg_class "
                     "WHERE relnamespace = to_regnamespace('exeat') AND relkind = 'r'"));
  if (there.Number(0, 0) == 0) return 0;
  if (there.Number(0, 1) == 0) {
    return connection.Error(StatusCode::kFailedPrecondition,
                            "its schema exeat is another program's; choose another database");
  }
  ASSIGN_OR_RETURN(const Answer version, connection.Run("SELECT version FROM exeat.store"));
  if (version.rows() != 1) {
    return connection.Error(StatusCode::kUnavailable,
                            "the schema's version is lost; restore it from a backup");
  }
  return version.Number(0, 0);
}

Status TakeSteps(Connection& connection) {
  ASSIGN_OR_RETURN(const std::int64_t version, Version(connection));
  if (version > NewestPostgresqlSchema()) {
    return connection.Error(StatusCode::kFailedPrecondition,
                            fmt::format("schema version {}, this program knows up to {}; use the "
                                        "newer program or restore a backup",
                                        version, NewestPostgresqlSchema()));
  }
  if (version == NewestPostgresqlSchema()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Answer schema, connection.Run("SELECT (to_regnamespace('exeat') IS NULL)"
                                                       "::int::bigint"));
  // Asked first, for IF NOT EXISTS wants the right to create even where the schema exists.
  if (schema.Number(0, 0) == 1) {
    RETURN_IF_ERROR(connection.RunScript("CREATE SCHEMA exeat").status());
  }
  for (std::int64_t step = version; step < NewestPostgresqlSchema(); ++step) {
    RETURN_IF_ERROR(connection.RunScript(kSteps.at(static_cast<std::size_t>(step))).status());
  }
  return connection
      .RunScript(fmt::format("UPDATE exeat.store SET version = {}", NewestPostgresqlSchema()))
      .status();
}

}  // namespace

std::int64_t NewestPostgresqlSchema() { return static_cast<std::int64_t>(kSteps.size()); }

Status PrepareSession(Connection& connection) {
  ASSIGN_OR_RETURN(const Answer settings,
                   connection.Run("SELECT current_setting('server_version_num')::bigint,"
                                  " current_setting('synchronous_commit')::bytea,"
                                  " current_setting('fsync')::bytea,"
                                  " current_setting('full_page_writes')::bytea"));
  if (settings.Number(0, 0) < kOldestServer) {
    return connection.Error(StatusCode::kFailedPrecondition, "PostgreSQL 15 or newer is needed");
  }
  const std::string commit = settings.Text(0, 1);
  RETURN_IF_ERROR(CheckSetting(connection, "synchronous_commit", commit, {"on", "remote_apply"}));
  RETURN_IF_ERROR(CheckSetting(connection, "fsync", settings.Bytes(0, 2), {"on"}));
  RETURN_IF_ERROR(CheckSetting(connection, "full_page_writes", settings.Bytes(0, 3), {"on"}));
  // Set in the session as well, where a reload of the server's configuration does not change it. An
  // edge that stops in the middle of a transaction must not hold up the others for long.
  const std::int64_t ms = connection.patience().count();
  const std::string set = fmt::format(
      "SET synchronous_commit = {}; SET statement_timeout = {}; SET lock_timeout = {};"
      " SET idle_in_transaction_session_timeout = {};"
      " SET default_transaction_isolation = 'read committed'",
      commit, ms, std::max<std::int64_t>(1, ms * 3 / 4), std::max<std::int64_t>(1, ms / 2));
  RETURN_IF_ERROR(connection.RunScript(set).status());
  // The server says what it waited for; only where it says nothing the client gives up.
  connection.set_patience(connection.patience() * 3 / 2);
  return absl::OkStatus();
}

Status MigratePostgresql(Connection& connection) {
  const std::chrono::milliseconds patience = connection.patience();
  connection.set_patience(kMigrationPatience);
  Status migrated = [&]() -> Status {
    RETURN_IF_ERROR(connection
                        .RunScript(fmt::format("BEGIN; SET LOCAL statement_timeout = '1min';"
                                               " SET LOCAL lock_timeout = '30s';"
                                               " SELECT pg_advisory_xact_lock({})",
                                               kMigrationLock))
                        .status());
    RETURN_IF_ERROR(TakeSteps(connection));
    return connection.RunScript("COMMIT").status();
  }();
  if (!migrated.ok() && !connection.lost()) {
    // The error that counts is the one before.
    connection.RunScript("ROLLBACK").status().IgnoreError();
  }
  connection.set_patience(patience);
  return migrated;
}

StatusOr<std::string> ReadTimeline(Connection& connection) {
  ASSIGN_OR_RETURN(const std::int64_t version, Version(connection));
  if (version != NewestPostgresqlSchema()) {
    return connection.Error(
        StatusCode::kFailedPrecondition,
        fmt::format("schema version {} where there was {}; start this edge again", version,
                    NewestPostgresqlSchema()));
  }
  // The name of the log's current file begins with the server's timeline: a promoted standby and
  // a recovery to a point in time each begin a new one.
  ASSIGN_OR_RETURN(
      const Answer named,
      connection.Run("SELECT (id || '/' || (SELECT system_identifier FROM pg_control_system())"
                     " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bytea"
                     " FROM exeat.store"));
  return named.Text(0, 0);
}

}  // namespace exeat::store
