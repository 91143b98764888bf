#include "store/store.h"

#include <algorithm>

namespace exeat::store {

base::Status CheckRevocationKey(RevokedKind kind, const std::string& id) {
  if ((kind == RevokedKind::kAll) == id.empty()) return absl::OkStatus();
  return base::MakeStatus(base::StatusCode::kInvalidArgument,
                          kind == RevokedKind::kAll ? "a revocation of everything has no id"
                                                    : "a revocation needs an id");
}

base::Status Store::PutRevocation(const RevocationRow& row) {
  return PutRevocations(std::span(&row, 1)).status();
}

base::Status Store::DeleteRevocation(RevokedKind kind, const std::string& id) {
  const RevocationKey key{kind, id};
  return DeleteRevocations(std::span(&key, 1)).status();
}

base::Status Store::Prune(base::UnixSeconds ended_before) {
  return DeleteEnded(ended_before).status();
}

base::StatusOr<std::vector<SessionRow>> Store::ListSessions(base::UnixSeconds alive_after) {
  std::vector<SessionRow> rows;
  const auto keep = [&rows](const SessionRow& row) { rows.push_back(row); };
  RETURN_IF_ERROR(ReadAll(alive_after, {.session = keep}).status());
  std::sort(rows.begin(), rows.end(), [](const SessionRow& a, const SessionRow& b) {
    return std::tie(a.created_at, a.sid) < std::tie(b.created_at, b.sid);
  });
  return rows;
}

base::StatusOr<std::vector<RevocationRow>> Store::ListRevocations() {
  std::vector<RevocationRow> rows;
  const auto keep = [&rows](const RevocationRow& row) { rows.push_back(row); };
  RETURN_IF_ERROR(ReadAll(0, {.revocation = keep}).status());
  std::sort(rows.begin(), rows.end(), [](const RevocationRow& a, const RevocationRow& b) {
    return std::tie(a.revoked_at, a.kind, a.id) < std::tie(b.revoked_at, b.kind, b.id);
  });
  return rows;
}

}  // namespace exeat::store
