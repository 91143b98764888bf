#include "store/sqlite.h"

#include <utility>

#include "fmt/format.h"

namespace exeat::store {

using base::MakeStatus;
using base::StatusCode;

void Statement::GiveBack::operator()(sqlite3_stmt* statement) const {
  std::unique_ptr<sqlite3_stmt, Database::Finalize> used(statement);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  database->idle_.try_emplace(sqlite3_sql(statement), std::move(used));
}

Statement& Statement::Reset() {
  // Its result repeats the error of the last step, which was reported then.
  sqlite3_reset(statement_.get());
  bound_ = 0;
  bind_result_ = SQLITE_OK;
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  // A null pointer would bind NULL, and an empty view may hold one.
  const char* bytes = text.empty() ? "" : text.data();
  const int result = sqlite3_bind_text64(statement_.get(), ++bound_, bytes, text.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

Statement& Statement::Bind(std::int64_t number) {
  const int result = sqlite3_bind_int64(statement_.get(), ++bound_, number);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

base::StatusOr<bool> Statement::Step() {
  if (bind_result_ != SQLITE_OK) return database_->Error(bind_result_);
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return database_->Error(result);
}

base::Status Statement::Run() { return Step().status(); }

std::string Statement::Text(int column) const {
  std::string text;
  Text(column, text);
  return text;
}

void Statement::Text(int column, std::string& text) const {
  text.clear();
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (bytes == nullptr || size <= 0) return;
  text.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::int64_t Statement::Number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

base::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         std::chrono::milliseconds busy_timeout) {
  auto database = std::unique_ptr<Database>(new Database(path));
  sqlite3* connection = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &connection,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  database->connection_.reset(connection);
  if (result != SQLITE_OK) return database->Error(result);
  sqlite3_busy_timeout(connection, static_cast<int>(busy_timeout.count()));
  RETURN_IF_ERROR(database->Execute("PRAGMA synchronous=FULL"));
  return database;
}

base::StatusOr<Statement> Database::Prepare(const char* sql) const {
  if (const auto kept = idle_.find(sql); kept != idle_.end()) {
    const auto node = idle_.extract(kept);
    return Statement(*this, node.mapped().release());
  }
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v2(connection_.get(), sql, -1, &statement, nullptr);
  if (result != SQLITE_OK) return Error(result);
  return Statement(*this, statement);
}

base::Status Database::Execute(const std::string& sql) const {
  const int result = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result);
}

base::Status Database::Run(const char* sql) const {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  return statement.Run();
}

base::StatusOr<std::int64_t> Database::QueryNumber(const char* sql) const {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Number(0) : 0;
}

base::StatusOr<std::string> Database::QueryText(const char* sql) const {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Text(0) : std::string();
}

base::Status Database::Error(int result) const {
  if (result == SQLITE_CONSTRAINT_PRIMARYKEY || result == SQLITE_CONSTRAINT_UNIQUE) {
    return MakeStatus(StatusCode::kAlreadyExists, path_ + ": the key is taken");
  }
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return MakeStatus(StatusCode::kUnavailable,
                        path_ + ": locked by another process; end it or try again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return MakeStatus(StatusCode::kUnavailable,
                        fmt::format("{}: the database is damaged; restore it from a backup, or "
                                    "move it away together with {}-wal to start without sessions "
                                    "and revocations",
                                    path_, path_));
    case SQLITE_FULL:
      return MakeStatus(StatusCode::kUnavailable, path_ + ": the disk is full; free some space");
    default:
      // sqlite3_errstr, not sqlite3_errmsg: the latter may quote a statement's values.
      return MakeStatus(StatusCode::kUnavailable,
                        fmt::format("{}: {} (sqlite {})", path_, sqlite3_errstr(result), result));
  }
}

base::StatusOr<Transaction> Transaction::Begin(const Database& database) {
  RETURN_IF_ERROR(database.Run("BEGIN IMMEDIATE"));
  return Transaction(database);
}

base::StatusOr<Transaction> Transaction::BeginReading(const Database& database) {
  RETURN_IF_ERROR(database.Run("BEGIN DEFERRED"));
  return Transaction(database);
}

Transaction::~Transaction() {
  // The error, if any, was already reported by the statement that failed.
  if (database_ != nullptr) database_->Run("ROLLBACK").IgnoreError();
}

base::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_->Run("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace exeat::store
