// The Store over a SQLite database that was opened, migrated and checked.
#pragma once

#include <memory>

#include "store/sqlite.h"
#include "store/store.h"

namespace exeat::store {

std::unique_ptr<Store> MakeSqliteStore(std::unique_ptr<Database> database);

}  // namespace exeat::store
