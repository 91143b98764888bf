// Thin ownership over sqlite3's C interface: a connection, a prepared statement, a transaction.
//
// Errors:   kAlreadyExists a unique key is taken; kUnavailable anything else (locked, damaged,
// full,
//           unreadable), naming the file and what to do. After an error nothing was changed.
// Threads:  one thread at a time.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/status.h"

namespace exeat::store {

class Statement {
 public:
  // Makes it ready to run again, with nothing bound.
  Statement& Reset();
  // Binds the next parameter, from the first on. Text may hold any byte.
  Statement& Bind(std::string_view text);
  Statement& Bind(std::int64_t number);
  // True while there is a row to read.
  base::StatusOr<bool> Step();
  // Runs a statement that answers no rows.
  base::Status Run();

  std::string Text(int column) const;
  // As Text, into a string whose memory is used again.
  void Text(int column, std::string& text) const;
  std::int64_t Number(int column) const;

 private:
  friend class Database;
  struct GiveBack {
    const class Database* database;
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const class Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement, GiveBack{&database}) {}

  const class Database* database_;
  std::unique_ptr<sqlite3_stmt, GiveBack> statement_;
  int bound_ = 0;
  int bind_result_ = SQLITE_OK;
};

class Database {
 public:
  // Opens a file that exists; commits wait for the disk.
  static base::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        std::chrono::milliseconds busy_timeout);

  // Ends before the database does, which keeps it for the next of the same text.
  base::StatusOr<Statement> Prepare(const char* sql) const;
  // Runs one statement without parameters.
  base::Status Run(const char* sql) const;
  // Runs one or more statements without parameters.
  base::Status Execute(const std::string& sql) const;
  // The first column of the first row.
  base::StatusOr<std::int64_t> QueryNumber(const char* sql) const;
  base::StatusOr<std::string> QueryText(const char* sql) const;
  // Rows that the last statement changed.
  int changes() const { return sqlite3_changes(connection_.get()); }
  // What a result code means for `path`.
  base::Status Error(int result) const;

 private:
  friend struct Statement::GiveBack;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Database(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> connection_;
  // Not in use, by their own texts: to prepare one costs more than to run it.
  mutable std::unordered_map<std::string_view, std::unique_ptr<sqlite3_stmt, Finalize>> idle_;
};

// Rolls back unless committed.
class Transaction {
 public:
  // Takes the write lock at once, so that waiting happens here and not halfway.
  static base::StatusOr<Transaction> Begin(const Database& database);
  // Takes no lock; everything that is read was so at one moment.
  static base::StatusOr<Transaction> BeginReading(const Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  base::Status Commit();

 private:
  explicit Transaction(const Database& database) : database_(&database) {}
  const Database* database_;
};

}  // namespace exeat::store
