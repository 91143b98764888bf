// The leases of a database that only one process writes: kept in memory, where they end with it.
//
// Threads:  one thread at a time.
// Source:   docs/adr/0014-shared-store.md
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace exeat::store {

class LeaseTable {
 public:
  explicit LeaseTable(const base::Clock& clock) : clock_(clock) {}

  // As Store::RenewLease, where `now` is how far the database has come.
  base::StatusOr<std::uint64_t> Renew(const std::string& edge, const Position& applied,
                                      const Position& now);
  std::vector<EdgeLease> Live() const;
  bool End(const std::string& edge, std::uint64_t renewals);

 private:
  struct Lease {
    std::uint64_t applied = 0;
    std::uint64_t renewals = 0;
    base::BootTime renewed{0};
  };
  const base::Clock& clock_;
  std::map<std::string, Lease> leases_;
};

}  // namespace exeat::store
