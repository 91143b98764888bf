// The PostgreSQL schema `exeat` as numbered steps that only go forward, and what a server must
// promise before anything is written to it.
//
// Shapes:   exeat.store has one row: the number of steps taken, and the id of this database. A step
//           that was released is never edited; a change is a new step.
// Errors:   kFailedPrecondition a newer schema, a schema of another program, or a server that does
//           not wait for the disk; else as postgresql.h.
// Threads:  concurrent openers wait for each other under an advisory lock.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "store/postgresql.h"

namespace exeat::store {

// The version this program reads and writes.
std::int64_t NewestPostgresqlSchema();

// Checks the server and sets this session's limits.
base::Status PrepareSession(Connection& connection);

// Takes the missing steps in one transaction.
base::Status MigratePostgresql(Connection& connection);

// Names the database as it is now: another after a failover, a restore or a new start. An error
// when the schema is not the one that MigratePostgresql leaves.
base::StatusOr<std::string> ReadTimeline(Connection& connection);

}  // namespace exeat::store
