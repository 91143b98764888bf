// Thin ownership over libpq: a connection whose every wait ends, its answers, and a transaction.
//
// Why here:  libpq's blocking calls wait for as long as the network likes, so each is made of its
//            non-blocking parts and a deadline; and its texts are passed on only where no value and
//            no password can stand in them. Only the look-up of a host's name is libpq's own wait.
// Errors:    kAlreadyExists a unique key is taken; kDeadlineExceeded too slow; kPermissionDenied
//            the role lacks a right; kFailedPrecondition the server is no place for a store;
//            kUnavailable anything else. Each names the server.
// Threads:   one thread at a time.
// Source:    docs/adr/0014-shared-store.md
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"
#include "store/postgresql_address.h"

namespace exeat::store {

// The values of $1, $2, ... in the server's binary form: bytea and bigint, and arrays of them.
class Parameters {
 public:
  Parameters& Add(std::int64_t number);
  Parameters& Add(std::string_view bytes);
  Parameters& Add(const std::vector<std::int64_t>& numbers);
  Parameters& Add(const std::vector<std::string_view>& texts);

 private:
  friend class Connection;
  std::vector<Oid> types_;
  std::vector<std::string> values_;
};

// Rows of bytea and bigint columns.
class Answer {
 public:
  int rows() const { return PQntuples(result_.get()); }
  std::string_view Bytes(int row, int column) const;
  std::int64_t Number(int row, int column) const;
  std::string Text(int row, int column) const { return std::string(Bytes(row, column)); }
  // How many rows the statement changed.
  std::int64_t changed() const;
  // "COMMIT", "ROLLBACK", "INSERT 0 1".
  std::string_view command() const { return PQcmdStatus(result_.get()); }

 private:
  friend class Connection;
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  explicit Answer(PGresult* result) : result_(result) {}
  std::unique_ptr<PGresult, Clear> result_;
};

class Connection {
 public:
  static base::StatusOr<std::unique_ptr<Connection>> Open(const PostgresqlAddress& address,
                                                          const base::Secret& password,
                                                          std::chrono::milliseconds patience);

  // One statement.
  base::StatusOr<Answer> Run(const char* sql, const Parameters& parameters = {});
  // Several without parameters; the answer is the last one's.
  base::StatusOr<Answer> RunScript(const std::string& sql);
  // Calls `visit` for row 0 of one answer after another; an error of it ends the reading.
  using RowVisitor = std::function<base::Status(const Answer&)>;
  base::Status Stream(const char* sql, const Parameters& parameters, const RowVisitor& visit);
  // False when no notification came in time.
  base::StatusOr<bool> WaitForNotification(std::chrono::milliseconds timeout);

  // Nothing will work any more; what was running may or may not have been done.
  bool lost() const { return lost_ || PQstatus(connection_.get()) != CONNECTION_OK; }
  // How long the client waits for one answer; the server's own limits are shorter.
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
  std::chrono::milliseconds patience() const { return patience_; }
  // Whether the server warned since this was last asked: at a commit, that it did not wait for
  // what it should have waited for.
  bool TakeWarning() { return std::exchange(warned_, false); }
  base::Status Error(base::StatusCode code, std::string_view message) const;

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  Connection(std::string shown, std::chrono::milliseconds patience)
      : shown_(std::move(shown)), patience_(patience) {}
  base::Status Connect(const PostgresqlAddress& address, const base::Secret& password);
  base::Status Send(const char* sql, const Parameters& parameters);
  base::StatusOr<Answer> Collect();
  base::StatusOr<PGresult*> Next(base::BootTime deadline);
  base::Status Flush(base::BootTime deadline);
  base::Status Wait(short events, base::BootTime deadline);
  base::Status Lost();
  base::Status ErrorOf(const PGresult* result);
  base::BootTime Deadline() const { return base::SystemClock().BootNow() + patience_; }
  static void Notice(void* self, const PGresult* notice);

  std::string shown_;
  std::chrono::milliseconds patience_;
  bool lost_ = false;
  bool warned_ = false;
  std::unique_ptr<PGconn, Finish> connection_;
};

}  // namespace exeat::store
