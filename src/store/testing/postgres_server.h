// A real PostgreSQL server of the tests' own: made by initdb in a temporary directory, reached by
// its Unix socket and by a free port of the loopback, and ended with the test program.
//
// Errors:   a test program without PostgreSQL 15 ends here and says what to install.
// Threads:  one thread at a time.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "store/testing/private_directory.h"

namespace exeat::store {

class PostgresServer {
 public:
  // Started at the first call.
  static PostgresServer& Shared();
  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // An empty database that the role `edge` owns, which is no superuser; it needs no password at the
  // Unix socket, and `edge-pw` at the port.
  std::string NewDatabase();
  // By the Unix socket.
  std::string Url(const std::string& database) const;
  // By the loopback, with "?..." to come; `host` is 127.0.0.1 or localhost.
  std::string TcpUrl(const std::string& host, const std::string& database) const;
  // Of the server's certificate, which names localhost.
  std::string CertificatePath() const { return directory_.path() + "/server.crt"; }

  // As a superuser; the first column of the first row, or "".
  std::string Run(const std::string& database, const std::string& sql) const;
  // The server's parameter for every connection from now on.
  void Set(const std::string& name, const std::string& value) const;

  // SIGKILL to the postmaster; what it started ends with it.
  void Kill();
  void Start();
  // The next start is in recovery, until pg_promote().
  void MakeStandby() const;

 private:
  std::string Program(const std::string& name) const;
  pid_t Spawn(const std::vector<std::string>& argv) const;
  void RunProgram(const std::vector<std::string>& argv) const;
  std::string Conninfo(const std::string& database) const;
  [[noreturn]] void Fail(const std::string& message) const;

  PrivateDirectory directory_;  // in memory where there is room: these tests kill processes only
  std::string data_ = directory_.path() + "/data";
  std::string log_ = directory_.path() + "/log";
  uid_t uid_ = 0;
  int port_ = 0;
  pid_t postmaster_ = 0;
  int databases_ = 0;
};

}  // namespace exeat::store
