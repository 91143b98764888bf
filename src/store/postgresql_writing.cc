#include "store/postgresql_writing.h"

#include <string_view>

#include "fmt/format.h"

namespace exeat::store {

using base::Status;
using base::StatusCode;
using base::StatusOr;

StatusOr<Writing> Writing::Begin(Connection& connection, std::size_t count) {
  Writing writing(connection);
  ASSIGN_OR_RETURN(
      const Answer counter,
      connection.RunScript(fmt::format(
          "BEGIN; UPDATE exeat.change_counter SET last = last + {} RETURNING last", count)));
  if (counter.rows() != 1) {
    return connection.Error(StatusCode::kUnavailable,
                            "the counter of changes is lost; restore it from a backup");
  }
  writing.last_ = counter.Number(0, 0);
  writing.next_ = writing.last_ - static_cast<std::int64_t>(count) + 1;
  return writing;
}

Writing::~Writing() {
  if (connection_ == nullptr || connection_->lost()) return;
  // The error, if any, was already reported by the statement that failed.
  connection_->RunScript("ROLLBACK").status().IgnoreError();
}

Status Writing::Extend(std::size_t count) {
  Parameters parameters;
  parameters.Add(static_cast<std::int64_t>(count));
  ASSIGN_OR_RETURN(
      const Answer counter,
      connection_->Run("UPDATE exeat.change_counter SET last = last + $1 RETURNING last",
                       parameters));
  last_ = counter.Number(0, 0);
  return absl::OkStatus();
}

Status Writing::Record(const std::vector<ChangeColumns>& changes) {
  std::vector<std::int64_t> seqs, kinds, numbers, begins, ends;
  std::vector<std::string_view> ids, reasons;
  for (const ChangeColumns& change : changes) {
    seqs.push_back(next_++);
    kinds.push_back(change.kind);
    numbers.push_back(change.number);
    ids.push_back(change.id);
    reasons.push_back(change.reason);
    begins.push_back(change.begins);
    ends.push_back(change.ends);
  }
  Parameters parameters;
  parameters.Add(seqs).Add(kinds).Add(numbers).Add(ids).Add(reasons).Add(begins).Add(ends);
  return connection_
      ->Run(
          "INSERT INTO exeat.change (seq, kind, number, id, reason, begins, ends)"
          " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
          parameters)
      .status();
}

StatusOr<std::uint64_t> Writing::Commit() {
  Connection& connection = *std::exchange(connection_, nullptr);
  connection.TakeWarning();
  ASSIGN_OR_RETURN(const Answer done, connection.RunScript("NOTIFY exeat_change; COMMIT"));
  if (done.command() != "COMMIT") {
    return connection.Error(StatusCode::kUnavailable, "the transaction was rolled back");
  }
  // A server that gives up waiting for its standby commits all the same, and warns.
  if (connection.TakeWarning()) {
    return connection.Error(StatusCode::kUnavailable,
                            "stored by the server, but not known to be with its standby");
  }
  return static_cast<std::uint64_t>(last_);
}

}  // namespace exeat::store
