// The SQLite schema as numbered steps that only go forward.
//
// Shapes:   `user_version` is the number of steps taken, `application_id` marks a file as ours.
//           A step that was released is never edited; a change is a new step.
// Errors:   kFailedPrecondition a newer schema, or a file of another program; kUnavailable.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "store/sqlite.h"

namespace exeat::store {

inline constexpr std::int64_t kApplicationId = 0x45584541;  // "EXEA"

// The version this program reads and writes.
std::int64_t NewestSchema();

// Takes the missing steps in one transaction. A database without any step taken is only accepted
// when `is_new`: otherwise emptiness is damage, and starting from it would forget revocations.
base::Status Migrate(const Database& database, bool is_new, const std::string& path);

}  // namespace exeat::store
