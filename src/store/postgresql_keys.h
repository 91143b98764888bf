// The public keys of edges in PostgreSQL: the statements of postgresql_store.cc that concern them.
//
// Errors:   as postgresql.h.
// Threads:  one thread at a time.
// Source:   docs/adr/0014-shared-store.md
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "store/postgresql.h"
#include "store/postgresql_writing.h"
#include "store/row_codec.h"
#include "store/store.h"

namespace exeat::store {

// `writing` has numbers for as many changes as there are rows. Commits.
base::StatusOr<std::uint64_t> PutKeys(Connection& connection, Writing& writing,
                                      std::span<const PublicKeyRow> rows);
// `writing` has no numbers yet. Commits.
base::StatusOr<std::uint64_t> DeleteKeys(Connection& connection, Writing& writing,
                                         std::span<const std::string> kids);
// Within a transaction, with the two parameters of a pruning; what there is to record of it.
base::StatusOr<std::vector<ChangeColumns>> DeleteEndedKeys(Connection& connection,
                                                           const Parameters& before);
base::Status ReadKeys(Connection& connection,
                      const std::function<void(const PublicKeyRow&)>& visit);

}  // namespace exeat::store
