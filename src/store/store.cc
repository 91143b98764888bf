#include "store/store.h"

namespace exeat::store {

base::Status CheckRevocationKey(RevokedKind kind, const std::string& id) {
  if ((kind == RevokedKind::kAll) == id.empty()) return absl::OkStatus();
  return base::MakeStatus(base::StatusCode::kInvalidArgument,
                          kind == RevokedKind::kAll ? "a revocation of everything has no id"
                                                    : "a revocation needs an id");
}

}  // namespace exeat::store
