#include "store/postgresql_keys.h"

#include <string_view>

namespace exeat::store {
namespace {

using base::Status;
using base::StatusOr;

std::vector<ChangeColumns> Deleted(const Answer& answer) {
  std::vector<ChangeColumns> changes;
  for (int i = 0; i < answer.rows(); ++i) changes.push_back(EncodeDeletedKey(answer.Text(i, 0)));
  return changes;
}

}  // namespace

StatusOr<std::uint64_t> PutKeys(Connection& connection, Writing& writing,
                                std::span<const PublicKeyRow> rows) {
  std::vector<std::string_view> kids, jwks;
  std::vector<std::int64_t> ends;
  std::vector<ChangeColumns> changes;
  for (const PublicKeyRow& row : rows) {
    kids.push_back(row.kid);
    jwks.push_back(row.jwk);
    ends.push_back(row.expires_at);
    changes.push_back(Encode(row));
  }
  Parameters parameters;
  parameters.Add(kids).Add(jwks).Add(ends);
  RETURN_IF_ERROR(
      connection
          .Run("INSERT INTO exeat.public_key SELECT * FROM unnest($1, $2, $3) ON CONFLICT (kid) DO"
               " UPDATE SET jwk = excluded.jwk, expires_at = excluded.expires_at",
               parameters)
          .status());
  RETURN_IF_ERROR(writing.Record(changes));
  return writing.Commit();
}

StatusOr<std::uint64_t> DeleteKeys(Connection& connection, Writing& writing,
                                   std::span<const std::string> kids) {
  Parameters parameters;
  parameters.Add(std::vector<std::string_view>(kids.begin(), kids.end()));
  ASSIGN_OR_RETURN(const Answer deleted,
                   connection.Run("DELETE FROM exeat.public_key k USING unnest($1) AS named (kid)"
                                  " WHERE k.kid = named.kid RETURNING k.kid",
                                  parameters));
  const std::vector<ChangeColumns> changes = Deleted(deleted);
  RETURN_IF_ERROR(writing.Extend(changes.size()));
  RETURN_IF_ERROR(writing.Record(changes));
  return writing.Commit();
}

StatusOr<std::vector<ChangeColumns>> DeleteEndedKeys(Connection& connection,
                                                     const Parameters& before) {
  ASSIGN_OR_RETURN(
      const Answer ended,
      connection.Run("DELETE FROM exeat.public_key WHERE kid IN (SELECT kid FROM exeat.public_key"
                     " WHERE expires_at < least($1, floor(extract(epoch FROM"
                     " clock_timestamp()))::bigint) LIMIT $2) RETURNING kid",
                     before));
  return Deleted(ended);
}

Status ReadKeys(Connection& connection, const std::function<void(const PublicKeyRow&)>& visit) {
  return connection.Stream("SELECT kid, jwk, expires_at FROM exeat.public_key", {},
                           [&](const Answer& answer) -> Status {
                             visit({answer.Text(0, 0), answer.Text(0, 1), answer.Number(0, 2)});
                             return absl::OkStatus();
                           });
}

}  // namespace exeat::store
