// A PostgreSQL URL as the parameters of a connection: what it may say, and what is filled in.
//
// Rules:    postgresql://USER@HOST[:PORT]/DATABASE?..., with sslmode, sslrootcert, sslcert and
//           sslkey; no password, since a URL stands in files and messages that others read.
//           Without sslmode a server is verified (verify-full, by the system's authorities), save
//           at a Unix socket or this machine's loopback. What libpq would take from the
//           environment for host, port and TLS is said here instead.
// Errors:   kInvalidArgument, never quoting the URL: the mistake may be the password in it.
// Threads:  pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace exeat::store {

struct PostgresqlAddress {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's keywords
  std::string shown;                                            // for messages
};

base::StatusOr<PostgresqlAddress> ParsePostgresqlUrl(const std::string& url);

}  // namespace exeat::store
