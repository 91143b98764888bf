#include "store/row_codec.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::store {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::size_t kMaxEdgeBytes = 64;

base::Status Check(const RevocationRow& row) { return CheckRevocationKey(row.kind, row.id); }
base::Status Check(const RevocationKey& key) { return CheckRevocationKey(key.kind, key.id); }

template <class Row>
base::StatusOr<std::vector<const Row*>> LastOfEach(std::span<const Row> rows) {
  if (rows.empty()) return MakeStatus(StatusCode::kInvalidArgument, "no revocation is named");
  std::vector<const Row*> last;
  last.reserve(rows.size());
  const auto key = [](const Row* row) { return std::pair(row->kind, std::string_view(row->id)); };
  const auto before = [key](const Row* a, const Row* b) { return key(a) < key(b); };
  for (const Row& row : rows) {
    RETURN_IF_ERROR(Check(row));
    last.push_back(&row);
  }
  // In the order of the key, which is also the order in which a tree is written fastest.
  std::stable_sort(last.begin(), last.end(), before);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < last.size(); ++i) {
    const bool replaced = i + 1 < last.size() && !before(last[i], last[i + 1]);
    if (!replaced) last[kept++] = last[i];
  }
  last.resize(kept);
  return last;
}

}  // namespace

ChangeColumns Encode(const SessionRow& row) {
  return {.kind = ChangeColumns::kSession, .id = row.sid, .ends = row.expires_at};
}

ChangeColumns Encode(const RevocationRow& row) {
  return {
      ChangeColumns::kPut, static_cast<std::int64_t>(row.kind), row.id, row.reason, row.revoked_at,
      row.expires_at};
}

ChangeColumns Encode(const RevocationKey& key) {
  return {
      .kind = ChangeColumns::kDeleted, .number = static_cast<std::int64_t>(key.kind), .id = key.id};
}

ChangeColumns Encode(const PublicKeyRow& row) {
  return {.kind = ChangeColumns::kKeyPut, .id = row.kid, .reason = row.jwk, .ends = row.expires_at};
}

ChangeColumns EncodeDeletedKey(const std::string& kid) {
  return {.kind = ChangeColumns::kKeyDeleted, .id = kid};
}

base::StatusOr<Change> Decode(std::uint64_t seq, const ChangeColumns& columns) {
  switch (columns.kind) {
    case ChangeColumns::kSession:
      return Change{seq, SessionPut{columns.id, columns.ends}};
    case ChangeColumns::kPut: {
      ASSIGN_OR_RETURN(const RevokedKind kind, DecodeRevokedKind(columns.number));
      return Change{
          seq, RevocationPut{{kind, columns.id, columns.reason, columns.begins, columns.ends}}};
    }
    case ChangeColumns::kDeleted: {
      ASSIGN_OR_RETURN(const RevokedKind kind, DecodeRevokedKind(columns.number));
      return Change{seq, RevocationDeleted{{kind, columns.id}}};
    }
    case ChangeColumns::kPolicy:
      return Change{seq, PolicyAppended{static_cast<std::uint64_t>(columns.number)}};
    case ChangeColumns::kKeyPut:
      return Change{seq, PublicKeyPut{{columns.id, columns.reason, columns.ends}}};
    case ChangeColumns::kKeyDeleted:
      return Change{seq, PublicKeyDeleted{columns.id}};
    default:
      return MakeStatus(
          StatusCode::kUnavailable,
          fmt::format("the stored change {} has the unknown kind {}", seq, columns.kind));
  }
}

base::StatusOr<std::string> EncodeGrants(const std::vector<std::string>& grants) {
  try {
    return nlohmann::json(grants).dump();
  } catch (const nlohmann::json::exception&) {
    return MakeStatus(StatusCode::kInvalidArgument, "a grant's name is not UTF-8");
  }
}

base::StatusOr<std::vector<std::string>> DecodeGrants(const std::string& sid,
                                                      std::string_view text) {
  const auto damaged = [&] {
    return MakeStatus(StatusCode::kUnavailable,
                      fmt::format("session {}: its stored grants are damaged", sid));
  };
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return damaged();
  std::vector<std::string> grants;
  for (const auto& grant : json) {
    if (!grant.is_string()) return damaged();
    grants.push_back(grant.get<std::string>());
  }
  return grants;
}

base::StatusOr<RevokedKind> DecodeRevokedKind(std::int64_t number) {
  // An entry that cannot be understood must not be skipped: it is a restriction.
  if (number < 0 || number > static_cast<std::int64_t>(RevokedKind::kAll)) {
    return MakeStatus(StatusCode::kUnavailable,
                      fmt::format("a stored revocation has the unknown kind {}", number));
  }
  return static_cast<RevokedKind>(number);
}

base::StatusOr<std::vector<const RevocationRow*>> Distinct(std::span<const RevocationRow> rows) {
  return LastOfEach(rows);
}

base::StatusOr<std::vector<const RevocationKey*>> Distinct(std::span<const RevocationKey> keys) {
  return LastOfEach(keys);
}

base::Status ReadAgain(const Position& position) {
  return MakeStatus(
      StatusCode::kOutOfRange,
      fmt::format("the changes after {} are not to be had here; read all again", position.seq));
}

base::Status CatchUp(const std::string& edge, std::uint64_t applied, std::uint64_t newest) {
  return MakeStatus(StatusCode::kFailedPrecondition,
                    fmt::format("edge {} has no lease and has applied {} of {} changes; it gets "
                                "one when it has caught up",
                                edge, applied, newest));
}

base::Status CheckPublicKeys(std::span<const PublicKeyRow> rows) {
  for (const PublicKeyRow& row : rows) {
    if (row.kid.empty()) return MakeStatus(StatusCode::kInvalidArgument, "a key needs a kid");
  }
  return absl::OkStatus();
}

base::Status CheckEdge(const std::string& edge) {
  if (!edge.empty() && edge.size() <= kMaxEdgeBytes) return absl::OkStatus();
  return MakeStatus(StatusCode::kInvalidArgument,
                    fmt::format("an edge's id has 1 to {} bytes", kMaxEdgeBytes));
}

base::Status NoRevocation(const RevocationKey& key) {
  return MakeStatus(StatusCode::kNotFound, key.kind == RevokedKind::kAll
                                               ? std::string("no revocation of everything")
                                               : fmt::format("no revocation of {}", key.id));
}

base::Status NoSession(const std::string& sid) {
  return MakeStatus(StatusCode::kNotFound, "no session " + sid);
}

base::Status SessionIsThere(const std::string& sid) {
  return MakeStatus(StatusCode::kAlreadyExists, "session " + sid + " is there already");
}

}  // namespace exeat::store
