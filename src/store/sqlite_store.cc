#include "store/sqlite_store.h"

#include <utility>

#include "base/clock.h"
#include "fmt/format.h"
#include "store/lease_table.h"
#include "store/row_codec.h"

namespace exeat::store {
namespace {

using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

// One process writes, so a file has one timeline.
constexpr char kTimeline[] = "sqlite";
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

// Numbers the changes of one transaction. The sequence is the highest key of the table, whose
// newest row is never deleted: what is rolled back leaves no gap.
class ChangeWriter {
 public:
  static StatusOr<ChangeWriter> Make(const Database& database) {
    ASSIGN_OR_RETURN(const std::int64_t newest,
                     database.QueryNumber("SELECT max(seq) FROM change"));
    ASSIGN_OR_RETURN(
        Statement insert,
        database.Prepare("INSERT INTO change (seq, kind, number, id, reason, begins, ends) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?)"));
    return ChangeWriter(newest, std::move(insert));
  }

  Status Write(const ChangeColumns& change) {
    RETURN_IF_ERROR(insert_.Reset()
                        .Bind(newest_ + 1)
                        .Bind(change.kind)
                        .Bind(change.number)
                        .Bind(change.id)
                        .Bind(change.reason)
                        .Bind(change.begins)
                        .Bind(change.ends)
                        .Run());
    ++newest_;
    return absl::OkStatus();
  }

  std::uint64_t newest() const { return static_cast<std::uint64_t>(newest_); }

 private:
  ChangeWriter(std::int64_t newest, Statement insert)
      : newest_(newest), insert_(std::move(insert)) {}
  std::int64_t newest_;
  Statement insert_;
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  Status InsertSession(const SessionRow& row) override;
  Status UpdateSession(const SessionRow& row) override;
  StatusOr<SessionRow> FindSession(const std::string& sid) override;
  StatusOr<std::uint64_t> PutRevocations(std::span<const RevocationRow> rows) override;
  StatusOr<std::uint64_t> DeleteRevocations(std::span<const RevocationKey> keys) override;
  StatusOr<std::vector<RevocationKey>> DeleteEnded(base::UnixSeconds ended_before) override;
  StatusOr<std::uint64_t> AppendPolicy(const std::string& text, const std::string& base_directory,
                                       base::UnixSeconds applied_at) override;
  StatusOr<std::optional<PolicyRevision>> LatestPolicy() override;
  StatusOr<std::uint64_t> PutPublicKeys(std::span<const PublicKeyRow> rows) override;
  StatusOr<std::uint64_t> DeletePublicKeys(std::span<const std::string> kids) override;
  StatusOr<Position> ReadAll(base::UnixSeconds alive_after, const Rows& rows) override;
  StatusOr<std::vector<Change>> ChangesAfter(const Position& position, std::size_t limit) override;

  StatusOr<bool> WaitForChange(std::uint64_t seq, std::chrono::milliseconds) override {
    ASSIGN_OR_RETURN(const Position now, Newest());
    return now.seq > seq;
  }
  StatusOr<std::uint64_t> RenewLease(const std::string& edge, const Position& applied) override {
    ASSIGN_OR_RETURN(const Position now, Newest());
    return leases_.Renew(edge, applied, now);
  }
  StatusOr<std::vector<EdgeLease>> LiveEdges() override { return leases_.Live(); }
  StatusOr<bool> EndLease(const std::string& edge, std::uint64_t renewals) override {
    return leases_.End(edge, renewals);
  }

 private:
  StatusOr<Position> Newest() const {
    ASSIGN_OR_RETURN(const std::int64_t seq, database_->QueryNumber("SELECT max(seq) FROM change"));
    return Position{kTimeline, static_cast<std::uint64_t>(seq)};
  }
  Status ReadSessions(base::UnixSeconds alive_after,
                      const std::function<void(const SessionRow&)>& visit) const;
  Status ReadRevocations(const std::function<void(const RevocationRow&)>& visit) const;
  Status ReadPublicKeys(const std::function<void(const PublicKeyRow&)>& visit) const;

  std::unique_ptr<Database> database_;
  LeaseTable leases_{base::SystemClock()};
};

Status SqliteStore::InsertSession(const SessionRow& row) {
  ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(Statement statement,
                   database_->Prepare("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)"));
  const Status inserted = statement.Bind(row.sid)
                              .Bind(row.sub)
                              .Bind(row.jti)
                              .Bind(grants)
                              .Bind(row.created_at)
                              .Bind(row.expires_at)
                              .Run();
  if (inserted.code() == StatusCode::kAlreadyExists) return SessionIsThere(row.sid);
  RETURN_IF_ERROR(inserted);
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  RETURN_IF_ERROR(changes.Write(Encode(row)));
  return transaction.Commit();
}

Status SqliteStore::UpdateSession(const SessionRow& row) {
  ASSIGN_OR_RETURN(const std::string grants, EncodeGrants(row.grants));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
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
  if (database_->changes() != 1) return NoSession(row.sid);
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  RETURN_IF_ERROR(changes.Write(Encode(row)));
  return transaction.Commit();
}

StatusOr<SessionRow> SqliteStore::FindSession(const std::string& sid) {
  ASSIGN_OR_RETURN(Statement statement,
                   database_->Prepare(fmt::format("{} WHERE sid = ?", kSessionColumns).c_str()));
  ASSIGN_OR_RETURN(const bool found, statement.Bind(sid).Step());
  if (!found) return NoSession(sid);
  return ReadSession(statement);
}

StatusOr<std::uint64_t> SqliteStore::PutRevocations(std::span<const RevocationRow> rows) {
  ASSIGN_OR_RETURN(const std::vector<const RevocationRow*> distinct, Distinct(rows));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  ASSIGN_OR_RETURN(Statement put,
                   database_->Prepare("INSERT INTO revocation VALUES (?, ?, ?, ?, ?) "
                                      "ON CONFLICT (kind, id) DO UPDATE SET reason = "
                                      "excluded.reason, revoked_at = excluded.revoked_at, "
                                      "expires_at = excluded.expires_at"));
  for (const RevocationRow* row : distinct) {
    RETURN_IF_ERROR(put.Reset()
                        .Bind(static_cast<std::int64_t>(row->kind))
                        .Bind(row->id)
                        .Bind(row->reason)
                        .Bind(row->revoked_at)
                        .Bind(row->expires_at)
                        .Run());
    RETURN_IF_ERROR(changes.Write(Encode(*row)));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return changes.newest();
}

StatusOr<std::uint64_t> SqliteStore::DeleteRevocations(std::span<const RevocationKey> keys) {
  ASSIGN_OR_RETURN(const std::vector<const RevocationKey*> distinct, Distinct(keys));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  ASSIGN_OR_RETURN(Statement remove,
                   database_->Prepare("DELETE FROM revocation WHERE kind = ? AND id = ?"));
  for (const RevocationKey* key : distinct) {
    RETURN_IF_ERROR(remove.Reset().Bind(static_cast<std::int64_t>(key->kind)).Bind(key->id).Run());
    if (database_->changes() != 1) return NoRevocation(*key);
    RETURN_IF_ERROR(changes.Write(Encode(*key)));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return changes.newest();
}

StatusOr<std::vector<RevocationKey>> SqliteStore::DeleteEnded(base::UnixSeconds ended_before) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(Statement sessions,
                   database_->Prepare("DELETE FROM session WHERE expires_at < ?"));
  RETURN_IF_ERROR(sessions.Bind(ended_before).Run());
  ASSIGN_OR_RETURN(
      Statement revocations,
      database_->Prepare("DELETE FROM revocation WHERE expires_at < ? AND expires_at <> 0 "
                         "RETURNING kind, id"));
  revocations.Bind(ended_before);
  std::vector<RevocationKey> pruned;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, revocations.Step());
    if (!more) break;
    ASSIGN_OR_RETURN(const RevokedKind kind, DecodeRevokedKind(revocations.Number(0)));
    pruned.push_back({kind, revocations.Text(1)});
  }
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  for (const RevocationKey& key : pruned) RETURN_IF_ERROR(changes.Write(Encode(key)));
  ASSIGN_OR_RETURN(Statement keys,
                   database_->Prepare("DELETE FROM public_key WHERE expires_at < ? RETURNING kid"));
  keys.Bind(ended_before);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, keys.Step());
    if (!more) break;
    RETURN_IF_ERROR(changes.Write(EncodeDeletedKey(keys.Text(0))));
  }
  ASSIGN_OR_RETURN(Statement trim, database_->Prepare("DELETE FROM change WHERE seq <= ?"));
  const auto newest = static_cast<std::int64_t>(changes.newest());
  RETURN_IF_ERROR(trim.Bind(newest - static_cast<std::int64_t>(kKeptChanges)).Run());
  RETURN_IF_ERROR(transaction.Commit());
  return pruned;
}

StatusOr<std::uint64_t> SqliteStore::AppendPolicy(const std::string& text,
                                                  const std::string& base_directory,
                                                  base::UnixSeconds applied_at) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(Statement statement,
                   database_->Prepare("INSERT INTO policy (text, base_directory, applied_at) "
                                      "VALUES (?, ?, ?) RETURNING revision"));
  ASSIGN_OR_RETURN(const bool row,
                   statement.Bind(text).Bind(base_directory).Bind(applied_at).Step());
  if (!row) return MakeStatus(StatusCode::kUnavailable, "the store gave no revision");
  const std::int64_t revision = statement.Number(0);
  ASSIGN_OR_RETURN([[maybe_unused]] const bool more, statement.Step());
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  RETURN_IF_ERROR(changes.Write({.kind = ChangeColumns::kPolicy, .number = revision}));
  RETURN_IF_ERROR(transaction.Commit());
  return static_cast<std::uint64_t>(revision);
}

StatusOr<std::optional<PolicyRevision>> SqliteStore::LatestPolicy() {
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

StatusOr<std::uint64_t> SqliteStore::PutPublicKeys(std::span<const PublicKeyRow> rows) {
  RETURN_IF_ERROR(CheckPublicKeys(rows));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  ASSIGN_OR_RETURN(Statement put,
                   database_->Prepare("INSERT INTO public_key VALUES (?, ?, ?) ON CONFLICT (kid) "
                                      "DO UPDATE SET jwk = excluded.jwk, "
                                      "expires_at = excluded.expires_at"));
  for (const PublicKeyRow& row : rows) {
    RETURN_IF_ERROR(put.Reset().Bind(row.kid).Bind(row.jwk).Bind(row.expires_at).Run());
    RETURN_IF_ERROR(changes.Write(Encode(row)));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return changes.newest();
}

StatusOr<std::uint64_t> SqliteStore::DeletePublicKeys(std::span<const std::string> kids) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  ASSIGN_OR_RETURN(ChangeWriter changes, ChangeWriter::Make(*database_));
  ASSIGN_OR_RETURN(Statement remove, database_->Prepare("DELETE FROM public_key WHERE kid = ?"));
  for (const std::string& kid : kids) {
    RETURN_IF_ERROR(remove.Reset().Bind(kid).Run());
    if (database_->changes() == 1) RETURN_IF_ERROR(changes.Write(EncodeDeletedKey(kid)));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return changes.newest();
}

StatusOr<Position> SqliteStore::ReadAll(base::UnixSeconds alive_after, const Rows& rows) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::BeginReading(*database_));
  ASSIGN_OR_RETURN(const Position position, Newest());
  if (rows.session) RETURN_IF_ERROR(ReadSessions(alive_after, rows.session));
  if (rows.revocation) RETURN_IF_ERROR(ReadRevocations(rows.revocation));
  if (rows.public_key) RETURN_IF_ERROR(ReadPublicKeys(rows.public_key));
  RETURN_IF_ERROR(transaction.Commit());
  return position;
}

Status SqliteStore::ReadSessions(base::UnixSeconds alive_after,
                                 const std::function<void(const SessionRow&)>& visit) const {
  ASSIGN_OR_RETURN(
      Statement statement,
      database_->Prepare(fmt::format("{} WHERE expires_at > ?", kSessionColumns).c_str()));
  statement.Bind(alive_after);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return absl::OkStatus();
    ASSIGN_OR_RETURN(const SessionRow row, ReadSession(statement));
    visit(row);
  }
}

Status SqliteStore::ReadRevocations(const std::function<void(const RevocationRow&)>& visit) const {
  ASSIGN_OR_RETURN(
      Statement statement,
      database_->Prepare("SELECT kind, id, reason, revoked_at, expires_at FROM revocation"));
  RevocationRow row;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return absl::OkStatus();
    ASSIGN_OR_RETURN(row.kind, DecodeRevokedKind(statement.Number(0)));
    statement.Text(1, row.id);
    statement.Text(2, row.reason);
    row.revoked_at = statement.Number(3);
    row.expires_at = statement.Number(4);
    visit(row);
  }
}

Status SqliteStore::ReadPublicKeys(const std::function<void(const PublicKeyRow&)>& visit) const {
  ASSIGN_OR_RETURN(Statement statement,
                   database_->Prepare("SELECT kid, jwk, expires_at FROM public_key"));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return absl::OkStatus();
    visit({statement.Text(0), statement.Text(1), statement.Number(2)});
  }
}

StatusOr<std::vector<Change>> SqliteStore::ChangesAfter(const Position& position,
                                                        std::size_t limit) {
  if (position.timeline != kTimeline) return ReadAgain(position);
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::BeginReading(*database_));
  ASSIGN_OR_RETURN(const Position now, Newest());
  ASSIGN_OR_RETURN(Statement statement,
                   database_->Prepare("SELECT seq, kind, number, id, reason, begins, ends FROM "
                                      "change WHERE seq > ? ORDER BY seq LIMIT ?"));
  statement.Bind(static_cast<std::int64_t>(position.seq)).Bind(static_cast<std::int64_t>(limit));
  std::vector<Change> changes;
  std::uint64_t last = position.seq;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) break;
    const auto seq = static_cast<std::uint64_t>(statement.Number(0));
    if (seq != ++last) return ReadAgain(position);
    ASSIGN_OR_RETURN(Change change,
                     Decode(seq, {statement.Number(1), statement.Number(2), statement.Text(3),
                                  statement.Text(4), statement.Number(5), statement.Number(6)}));
    changes.push_back(std::move(change));
  }
  if (changes.empty() && position.seq != now.seq) return ReadAgain(position);
  return changes;
}

}  // namespace

std::unique_ptr<Store> MakeSqliteStore(std::unique_ptr<Database> database) {
  return std::make_unique<SqliteStore>(std::move(database));
}

}  // namespace exeat::store
