#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/secret.h"
#include "fmt/format.h"
#include "store/postgresql.h"
#include "store/postgresql_address.h"
#include "store/postgresql_keys.h"
#include "store/postgresql_schema.h"
#include "store/postgresql_writing.h"
#include "store/row_codec.h"
#include "store/store.h"

namespace exeat::store {
namespace {

using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

constexpr std::size_t kMaxPasswordBytes = 4096;
// Rows in one statement: its message stays small and its time far below the server's limit.
constexpr std::size_t kRowsAtOnce = 10'000;
constexpr std::int64_t kPrunedAtOnce = 10'000;
constexpr std::chrono::minutes kReadAllPatience{2};

constexpr char kSessionColumns[] =
    "SELECT sid, sub, jti, grants, created_at, expires_at FROM exeat.session";

StatusOr<SessionRow> ReadSession(const Answer& answer) {
  SessionRow row;
  row.sid = answer.Text(0, 0);
  row.sub = answer.Text(0, 1);
  row.jti = answer.Text(0, 2);
  ASSIGN_OR_RETURN(row.grants, DecodeGrants(row.sid, answer.Bytes(0, 3)));
  row.created_at = answer.Number(0, 4);
  row.expires_at = answer.Number(0, 5);
  return row;
}

StatusOr<base::Secret> ReadPassword(const std::string& path) {
  if (path.empty()) return base::Secret();
  ASSIGN_OR_RETURN(std::string content, base::ReadPrivateFile(path, kMaxPasswordBytes));
  while (content.ends_with('\n') || content.ends_with('\r')) content.pop_back();
  base::Secret password(content);
  base::Secret::Wipe(content);
  if (password.empty() || password.Reveal().find('\0') != std::string_view::npos) {
    return MakeStatus(StatusCode::kFailedPrecondition, path + ": holds no password");
  }
  return password;
}

class PostgresqlStore final : public Store {
 public:
  PostgresqlStore(PostgresqlAddress address, PostgresqlOptions options)
      : address_(std::move(address)), options_(std::move(options)) {}

  Status Open();

  Status InsertSession(const SessionRow& row) override;
  Status UpdateSession(const SessionRow& row) override;
  StatusOr<SessionRow> FindSession(const std::string& sid) override;
  StatusOr<std::uint64_t> PutRevocations(std::span<const RevocationRow> rows) override;
  StatusOr<std::uint64_t> DeleteRevocations(std::span<const RevocationKey> keys) override;
  StatusOr<std::vector<RevocationKey>> DeleteEnded(base::UnixSeconds ended_before) override;
  StatusOr<std::uint64_t> AppendPolicy(const std::string& text, const std::string& base_directory,
                                       base::UnixSeconds applied_at) override;
  StatusOr<std::optional<PolicyRevision>> LatestPolicy() override;
  StatusOr<std::uint64_t> PutPublicKeys(std::span<const PublicKeyRow> rows) override {
    RETURN_IF_ERROR(CheckPublicKeys(rows));
    ASSIGN_OR_RETURN(Writing writing, Write(rows.size()));
    return PutKeys(*connection_, writing, rows);
  }
  StatusOr<std::uint64_t> DeletePublicKeys(std::span<const std::string> kids) override {
    ASSIGN_OR_RETURN(Writing writing, Write(0));
    return DeleteKeys(*connection_, writing, kids);
  }
  StatusOr<Position> ReadAll(base::UnixSeconds alive_after, const Rows& rows) override;
  StatusOr<std::vector<Change>> ChangesAfter(const Position& position, std::size_t limit) override;
  StatusOr<bool> WaitForChange(std::uint64_t seq, std::chrono::milliseconds timeout) override;
  StatusOr<std::uint64_t> RenewLease(const std::string& edge, const Position& applied) override;
  StatusOr<std::vector<EdgeLease>> LiveEdges() override;
  StatusOr<bool> EndLease(const std::string& edge, std::uint64_t renewals) override;

 private:
  StatusOr<std::unique_ptr<Connection>> Dial() const;
  // Runs `first`, which must be the first statement of what is to be done, on a connection that
  // stands; once more on a new one where the old one turns out to be gone.
  template <class First>
  auto OnConnection(First first) -> decltype(first(std::declval<Connection&>())) {
    const bool is_old = connection_ != nullptr && !connection_->lost();
    RETURN_IF_ERROR(Reconnect());
    auto done = first(*connection_);
    if (done.ok() || !is_old || !connection_->lost()) return done;
    if (done.status().code() == StatusCode::kDeadlineExceeded) return done;
    RETURN_IF_ERROR(Reconnect());
    return first(*connection_);
  }
  Status Reconnect();
  StatusOr<Writing> Write(std::size_t count) {
    return OnConnection(
        [count](Connection& connection) { return Writing::Begin(connection, count); });
  }
  StatusOr<Answer> Read(const char* sql, const Parameters& parameters = {}) {
    return OnConnection([&](Connection& connection) { return connection.Run(sql, parameters); });
  }
  StatusOr<Position> ReadWithin(base::UnixSeconds alive_after, const Rows& rows);
  StatusOr<std::uint64_t> FirstLease(const std::string& edge, std::int64_t applied);
  StatusOr<std::vector<RevocationKey>> DeleteSomeEnded(base::UnixSeconds ended_before);

  const PostgresqlAddress address_;
  const PostgresqlOptions options_;
  std::unique_ptr<Connection> connection_;
  std::string timeline_;  // of the connection: no server changes it while a connection stands
  bool listening_ = false;
};

StatusOr<std::unique_ptr<Connection>> PostgresqlStore::Dial() const {
  ASSIGN_OR_RETURN(const base::Secret password, ReadPassword(options_.password_file));
  ASSIGN_OR_RETURN(auto connection, Connection::Open(address_, password, options_.patience));
  RETURN_IF_ERROR(PrepareSession(*connection));
  return connection;
}

Status PostgresqlStore::Open() {
  ASSIGN_OR_RETURN(connection_, Dial());
  RETURN_IF_ERROR(MigratePostgresql(*connection_));
  ASSIGN_OR_RETURN(timeline_, ReadTimeline(*connection_));
  return absl::OkStatus();
}

Status PostgresqlStore::Reconnect() {
  if (connection_ != nullptr && !connection_->lost()) return absl::OkStatus();
  connection_.reset();
  listening_ = false;
  ASSIGN_OR_RETURN(auto connection, Dial());
  // Never migrates: a database that lost its schema must not look like a new one.
  ASSIGN_OR_RETURN(timeline_, ReadTimeline(*connection));
  connection_ = std::move(connection);
  return absl::OkStatus();
}

Status PostgresqlStore::InsertSession(const SessionRow& row) {
  ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
  ASSIGN_OR_RETURN(Writing writing, Write(1));
  Parameters parameters;
  parameters.Add(row.sid).Add(row.sub).Add(row.jti).Add(grants);
  parameters.Add(row.created_at).Add(row.expires_at);
  const Status inserted =
      connection_->Run("INSERT INTO exeat.session VALUES ($1, $2, $3, $4, $5, $6)", parameters)
          .status();
  if (inserted.code() == StatusCode::kAlreadyExists) return SessionIsThere(row.sid);
  RETURN_IF_ERROR(inserted);
  RETURN_IF_ERROR(writing.Record(Encode(row)));
  return writing.Commit().status();
}

Status PostgresqlStore::UpdateSession(const SessionRow& row) {
  ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
  ASSIGN_OR_RETURN(Writing writing, Write(1));
  Parameters parameters;
  parameters.Add(row.sid).Add(row.sub).Add(row.jti).Add(grants);
  parameters.Add(row.created_at).Add(row.expires_at);
  ASSIGN_OR_RETURN(const Answer updated,
                   connection_->Run("UPDATE exeat.session SET sub = $2, jti = $3, grants = $4,"
                                    " created_at = $5, expires_at = $6 WHERE sid = $1",
                                    parameters));
  if (updated.changed() != 1) return NoSession(row.sid);
  RETURN_IF_ERROR(writing.Record(Encode(row)));
  return writing.Commit().status();
}

StatusOr<SessionRow> PostgresqlStore::FindSession(const std::string& sid) {
  Parameters parameters;
  parameters.Add(sid);
  ASSIGN_OR_RETURN(const Answer found,
                   Read(fmt::format("{} WHERE sid = $1", kSessionColumns).c_str(), parameters));
  if (found.rows() == 0) return NoSession(sid);
  return ReadSession(found);
}

StatusOr<std::uint64_t> PostgresqlStore::PutRevocations(std::span<const RevocationRow> rows) {
  ASSIGN_OR_RETURN(const std::vector<const RevocationRow*> distinct, Distinct(rows));
  ASSIGN_OR_RETURN(Writing writing, Write(distinct.size()));
  for (std::size_t at = 0; at < distinct.size(); at += kRowsAtOnce) {
    std::vector<std::int64_t> kinds, revoked, ends;
    std::vector<std::string_view> ids, reasons;
    std::vector<ChangeColumns> changes;
    for (std::size_t i = at; i < std::min(distinct.size(), at + kRowsAtOnce); ++i) {
      const RevocationRow& row = *distinct[i];
      kinds.push_back(static_cast<std::int64_t>(row.kind));
      ids.push_back(row.id);
      reasons.push_back(row.reason);
      revoked.push_back(row.revoked_at);
      ends.push_back(row.expires_at);
      changes.push_back(Encode(row));
    }
    Parameters parameters;
    parameters.Add(kinds).Add(ids).Add(reasons).Add(revoked).Add(ends);
    RETURN_IF_ERROR(
        connection_
            ->Run("INSERT INTO exeat.revocation SELECT * FROM unnest($1, $2, $3, $4, $5)"
                  " ON CONFLICT (kind, id) DO UPDATE SET reason = excluded.reason,"
                  " revoked_at = excluded.revoked_at, expires_at = excluded.expires_at",
                  parameters)
            .status());
    RETURN_IF_ERROR(writing.Record(changes));
  }
  return writing.Commit();
}

StatusOr<std::uint64_t> PostgresqlStore::DeleteRevocations(std::span<const RevocationKey> keys) {
  ASSIGN_OR_RETURN(const std::vector<const RevocationKey*> distinct, Distinct(keys));
  ASSIGN_OR_RETURN(Writing writing, Write(distinct.size()));
  for (std::size_t at = 0; at < distinct.size(); at += kRowsAtOnce) {
    std::vector<std::int64_t> kinds;
    std::vector<std::string_view> ids;
    std::vector<ChangeColumns> changes;
    for (std::size_t i = at; i < std::min(distinct.size(), at + kRowsAtOnce); ++i) {
      kinds.push_back(static_cast<std::int64_t>(distinct[i]->kind));
      ids.push_back(distinct[i]->id);
      changes.push_back(Encode(*distinct[i]));
    }
    Parameters parameters;
    parameters.Add(kinds).Add(ids);
    ASSIGN_OR_RETURN(
        const Answer missing,
        connection_->Run("SELECT n FROM unnest($1, $2) WITH ORDINALITY AS named (kind, id, n)"
                         " WHERE NOT EXISTS (SELECT FROM exeat.revocation r"
                         " WHERE r.kind = named.kind AND r.id = named.id) ORDER BY n LIMIT 1",
                         parameters));
    if (missing.rows() != 0) {
      return NoRevocation(*distinct[at + static_cast<std::size_t>(missing.Number(0, 0)) - 1]);
    }
    RETURN_IF_ERROR(connection_
                        ->Run("DELETE FROM exeat.revocation r USING unnest($1, $2) AS named"
                              " (kind, id) WHERE r.kind = named.kind AND r.id = named.id",
                              parameters)
                        .status());
    RETURN_IF_ERROR(writing.Record(changes));
  }
  return writing.Commit();
}

StatusOr<std::vector<RevocationKey>> PostgresqlStore::DeleteEnded(base::UnixSeconds ended_before) {
  std::vector<RevocationKey> all;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<RevocationKey> some, DeleteSomeEnded(ended_before));
    const bool last = some.size() < static_cast<std::size_t>(kPrunedAtOnce);
    all.insert(all.end(), std::move_iterator(some.begin()), std::move_iterator(some.end()));
    if (last) return all;
  }
}

// An edge whose clock is ahead must not take from the others what is still alive, so the database's
// clock has a say.
StatusOr<std::vector<RevocationKey>> PostgresqlStore::DeleteSomeEnded(
    base::UnixSeconds ended_before) {
  ASSIGN_OR_RETURN(Writing writing, Write(0));
  Parameters before;
  before.Add(ended_before).Add(kPrunedAtOnce);
  RETURN_IF_ERROR(
      connection_
          ->Run("DELETE FROM exeat.session WHERE sid IN (SELECT sid FROM exeat.session WHERE"
                " expires_at < least($1, floor(extract(epoch FROM clock_timestamp()))::bigint)"
                " LIMIT $2)",
                before)
          .status());
  ASSIGN_OR_RETURN(
      const Answer ended,
      connection_->Run(
          "DELETE FROM exeat.revocation WHERE (kind, id) IN (SELECT kind, id FROM"
          " exeat.revocation WHERE expires_at <> 0 AND"
          " expires_at < least($1, floor(extract(epoch FROM clock_timestamp()))::bigint)"
          " LIMIT $2) RETURNING kind, id",
          before));
  std::vector<RevocationKey> keys;
  std::vector<ChangeColumns> changes;
  for (int i = 0; i < ended.rows(); ++i) {
    ASSIGN_OR_RETURN(const RevokedKind kind, DecodeRevokedKind(ended.Number(i, 0)));
    keys.push_back({kind, ended.Text(i, 1)});
    changes.push_back(Encode(keys.back()));
  }
  ASSIGN_OR_RETURN(const std::vector<ChangeColumns> ended_keys,
                   DeleteEndedKeys(*connection_, before));
  changes.insert(changes.end(), ended_keys.begin(), ended_keys.end());
  RETURN_IF_ERROR(writing.Extend(changes.size()));
  RETURN_IF_ERROR(writing.Record(changes));
  Parameters kept;
  kept.Add(static_cast<std::int64_t>(kKeptChanges)).Add(kPrunedAtOnce * 5);
  RETURN_IF_ERROR(
      connection_
          ->Run("DELETE FROM exeat.change WHERE seq <= least((SELECT last FROM"
                " exeat.change_counter) - $1, (SELECT min(seq) FROM exeat.change) + $2)",
                kept)
          .status());
  RETURN_IF_ERROR(writing.Commit().status());
  return keys;
}

StatusOr<std::uint64_t> PostgresqlStore::AppendPolicy(const std::string& text,
                                                      const std::string& base_directory,
                                                      base::UnixSeconds applied_at) {
  ASSIGN_OR_RETURN(Writing writing, Write(1));
  Parameters parameters;
  parameters.Add(text).Add(base_directory).Add(applied_at);
  ASSIGN_OR_RETURN(
      const Answer appended,
      connection_->Run("INSERT INTO exeat.policy SELECT coalesce(max(revision), 0) + 1, $1, $2, $3"
                       " FROM exeat.policy RETURNING revision",
                       parameters));
  const std::int64_t revision = appended.Number(0, 0);
  RETURN_IF_ERROR(writing.Record({.kind = ChangeColumns::kPolicy, .number = revision}));
  RETURN_IF_ERROR(writing.Commit().status());
  return static_cast<std::uint64_t>(revision);
}

StatusOr<std::optional<PolicyRevision>> PostgresqlStore::LatestPolicy() {
  ASSIGN_OR_RETURN(const Answer found,
                   Read("SELECT revision, text, base_directory, applied_at FROM exeat.policy"
                        " ORDER BY revision DESC LIMIT 1"));
  if (found.rows() == 0) return std::optional<PolicyRevision>();
  return std::optional<PolicyRevision>(
      PolicyRevision{static_cast<std::uint64_t>(found.Number(0, 0)), found.Text(0, 1),
                     found.Text(0, 2), found.Number(0, 3)});
}

StatusOr<Position> PostgresqlStore::ReadAll(base::UnixSeconds alive_after, const Rows& rows) {
  RETURN_IF_ERROR(OnConnection([](Connection& connection) {
                    return connection.RunScript(
                        fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                                    " SET LOCAL statement_timeout = '{}min'",
                                    kReadAllPatience.count()));
                  }).status());
  StatusOr<Position> position = ReadWithin(alive_after, rows);
  if (!connection_->lost()) connection_->RunScript("ROLLBACK").status().IgnoreError();
  return position;
}

StatusOr<Position> PostgresqlStore::ReadWithin(base::UnixSeconds alive_after, const Rows& rows) {
  ASSIGN_OR_RETURN(const Answer counter, connection_->Run("SELECT last FROM exeat.change_counter"));
  if (counter.rows() != 1) {
    return connection_->Error(StatusCode::kUnavailable,
                              "the counter of changes is lost; restore it from a backup");
  }
  if (rows.session) {
    Parameters alive;
    alive.Add(alive_after);
    RETURN_IF_ERROR(
        connection_->Stream(fmt::format("{} WHERE expires_at > $1", kSessionColumns).c_str(), alive,
                            [&](const Answer& answer) -> Status {
                              ASSIGN_OR_RETURN(const SessionRow row, ReadSession(answer));
                              rows.session(row);
                              return absl::OkStatus();
                            }));
  }
  if (rows.revocation) {
    RevocationRow row;
    RETURN_IF_ERROR(
        connection_->Stream("SELECT kind, id, reason, revoked_at, expires_at FROM exeat.revocation",
                            {}, [&](const Answer& answer) -> Status {
                              ASSIGN_OR_RETURN(row.kind, DecodeRevokedKind(answer.Number(0, 0)));
                              row.id = answer.Bytes(0, 1);
                              row.reason = answer.Bytes(0, 2);
                              row.revoked_at = answer.Number(0, 3);
                              row.expires_at = answer.Number(0, 4);
                              rows.revocation(row);
                              return absl::OkStatus();
                            }));
  }
  if (rows.public_key) RETURN_IF_ERROR(ReadKeys(*connection_, rows.public_key));
  return Position{timeline_, static_cast<std::uint64_t>(counter.Number(0, 0))};
}

// One statement, so that the counter and the changes are of one moment.
StatusOr<std::vector<Change>> PostgresqlStore::ChangesAfter(const Position& position,
                                                            std::size_t limit) {
  Parameters parameters;
  parameters.Add(static_cast<std::int64_t>(position.seq)).Add(static_cast<std::int64_t>(limit));
  ASSIGN_OR_RETURN(const Answer answer,
                   Read("SELECT last, coalesce(seq, 0), kind, number, id, reason, begins, ends FROM"
                        " exeat.change_counter LEFT JOIN (SELECT * FROM exeat.change WHERE seq > $1"
                        " ORDER BY seq LIMIT $2) AS next ON true ORDER BY seq",
                        parameters));
  if (position.timeline != timeline_ || answer.rows() == 0) return ReadAgain(position);
  std::vector<Change> changes;
  if (answer.Number(0, 1) == 0) {
    if (answer.Number(0, 0) != static_cast<std::int64_t>(position.seq)) return ReadAgain(position);
    return changes;
  }
  for (int i = 0; i < answer.rows(); ++i) {
    const auto seq = static_cast<std::uint64_t>(answer.Number(i, 1));
    if (seq != position.seq + static_cast<std::uint64_t>(i) + 1) return ReadAgain(position);
    ASSIGN_OR_RETURN(Change change,
                     Decode(seq, {answer.Number(i, 2), answer.Number(i, 3), answer.Text(i, 4),
                                  answer.Text(i, 5), answer.Number(i, 6), answer.Number(i, 7)}));
    changes.push_back(std::move(change));
  }
  return changes;
}

// The notification only wakes; what counts is the counter, so a lost one costs time, not changes.
StatusOr<bool> PostgresqlStore::WaitForChange(std::uint64_t seq,
                                              std::chrono::milliseconds timeout) {
  const auto changed = [&]() -> StatusOr<bool> {
    ASSIGN_OR_RETURN(const Answer counter, Read("SELECT last FROM exeat.change_counter"));
    return counter.rows() == 1 && counter.Number(0, 0) > static_cast<std::int64_t>(seq);
  };
  const base::BootTime deadline = base::SystemClock().BootNow() + timeout;
  while (true) {
    RETURN_IF_ERROR(Reconnect());
    if (!listening_) RETURN_IF_ERROR(Read("LISTEN exeat_change").status());
    listening_ = true;
    ASSIGN_OR_RETURN(const bool there, changed());
    if (there) return true;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - base::SystemClock().BootNow());
    if (left.count() <= 0) return false;
    if (!listening_) continue;
    ASSIGN_OR_RETURN([[maybe_unused]] const bool notified, connection_->WaitForNotification(left));
  }
}

StatusOr<std::uint64_t> PostgresqlStore::RenewLease(const std::string& edge,
                                                    const Position& applied) {
  RETURN_IF_ERROR(CheckEdge(edge));
  RETURN_IF_ERROR(Reconnect());
  if (applied.timeline != timeline_) return ReadAgain(applied);
  const auto seq = static_cast<std::int64_t>(applied.seq);
  Parameters parameters;
  parameters.Add(edge).Add(seq);
  // Not tried again on another connection, where the same number may be another change.
  ASSIGN_OR_RETURN(const Answer renewed,
                   connection_->Run("UPDATE exeat.edge SET applied = $2, renewals = renewals + 1,"
                                    " renewed_at = clock_timestamp() FROM exeat.change_counter"
                                    " WHERE id = $1 AND $2 <= last RETURNING last",
                                    parameters));
  if (renewed.rows() == 1) return static_cast<std::uint64_t>(renewed.Number(0, 0));
  return FirstLease(edge, seq);
}

// A first lease waits for a change that is just being committed: who has it before the change is
// committed is among the live edges afterwards, and who comes after has to have applied it.
StatusOr<std::uint64_t> PostgresqlStore::FirstLease(const std::string& edge, std::int64_t applied) {
  const std::string timeline = timeline_;
  ASSIGN_OR_RETURN(Writing writing, Write(0));
  const std::int64_t last = writing.last();
  if (timeline != timeline_ || applied > last) {
    return ReadAgain({timeline, static_cast<std::uint64_t>(applied)});
  }
  if (applied < last) {
    return CatchUp(edge, static_cast<std::uint64_t>(applied), static_cast<std::uint64_t>(last));
  }
  Parameters parameters;
  parameters.Add(edge).Add(applied);
  RETURN_IF_ERROR(
      connection_->Run("INSERT INTO exeat.edge VALUES ($1, $2, 1, clock_timestamp())", parameters)
          .status());
  return writing.Commit();
}

StatusOr<std::vector<EdgeLease>> PostgresqlStore::LiveEdges() {
  ASSIGN_OR_RETURN(const Answer answer,
                   Read("SELECT id, applied, renewals, greatest(0, floor(1000 * extract(epoch FROM"
                        " clock_timestamp() - renewed_at)))::bigint FROM exeat.edge ORDER BY id"));
  std::vector<EdgeLease> live;
  for (int i = 0; i < answer.rows(); ++i) {
    live.push_back({answer.Text(i, 0), static_cast<std::uint64_t>(answer.Number(i, 1)),
                    static_cast<std::uint64_t>(answer.Number(i, 2)),
                    std::chrono::milliseconds(answer.Number(i, 3))});
  }
  return live;
}

StatusOr<bool> PostgresqlStore::EndLease(const std::string& edge, std::uint64_t renewals) {
  Parameters parameters;
  parameters.Add(edge).Add(static_cast<std::int64_t>(renewals));
  ASSIGN_OR_RETURN(const Answer ended,
                   Read("DELETE FROM exeat.edge WHERE id = $1 AND renewals = $2", parameters));
  return ended.changed() == 1;
}

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenPostgresql(const PostgresqlOptions& options) {
  ASSIGN_OR_RETURN(PostgresqlAddress address, ParsePostgresqlUrl(options.url));
  auto store = std::make_unique<PostgresqlStore>(std::move(address), options);
  RETURN_IF_ERROR(store->Open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace exeat::store
