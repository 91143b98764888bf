#include "store/lease_table.h"

#include "store/row_codec.h"

namespace exeat::store {

base::StatusOr<std::uint64_t> LeaseTable::Renew(const std::string& edge, const Position& applied,
                                                const Position& now) {
  RETURN_IF_ERROR(CheckEdge(edge));
  if (applied.timeline != now.timeline || applied.seq > now.seq) return ReadAgain(applied);
  const auto held = leases_.find(edge);
  if (held == leases_.end() && applied.seq < now.seq) return CatchUp(edge, applied.seq, now.seq);
  Lease& lease = leases_[edge];
  lease.applied = applied.seq;
  lease.renewals += 1;
  lease.renewed = clock_.BootNow();
  return now.seq;
}

std::vector<EdgeLease> LeaseTable::Live() const {
  std::vector<EdgeLease> live;
  for (const auto& [edge, lease] : leases_) {
    const auto age =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.BootNow() - lease.renewed);
    live.push_back({edge, lease.applied, lease.renewals, age});
  }
  return live;
}

bool LeaseTable::End(const std::string& edge, std::uint64_t renewals) {
  const auto held = leases_.find(edge);
  if (held == leases_.end() || held->second.renewals != renewals) return false;
  leases_.erase(held);
  return true;
}

}  // namespace exeat::store
