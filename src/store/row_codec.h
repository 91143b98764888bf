// How rows are written into columns, where the bodies of the Store agree.
//
// Why here:  a change is stored in one shape by every body, and what cannot be understood fails the
//            same way: skipping a restriction would be an allow.
// Errors:    kInvalidArgument what cannot be written; kUnavailable what was read is damaged.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/store.h"

namespace exeat::store {

// A change in the columns of its table; which of them mean something depends on `kind`.
struct ChangeColumns {
  enum Kind : std::int64_t {
    kSession = 1,
    kPut = 2,
    kDeleted = 3,
    kPolicy = 4,
    kKeyPut = 5,
    kKeyDeleted = 6
  };
  std::int64_t kind = 0;
  std::int64_t number = 0;  // the RevokedKind, or the policy's revision
  std::string id;           // the sid, the revocation's id, or the kid
  std::string reason;       // or the JWK
  std::int64_t begins = 0;  // revoked_at
  std::int64_t ends = 0;    // expires_at
};

ChangeColumns Encode(const SessionRow& row);
ChangeColumns Encode(const RevocationRow& row);
ChangeColumns Encode(const RevocationKey& key);
ChangeColumns Encode(const PublicKeyRow& row);
ChangeColumns EncodeDeletedKey(const std::string& kid);
base::StatusOr<Change> Decode(std::uint64_t seq, const ChangeColumns& columns);

// A JSON array.
base::StatusOr<std::string> EncodeGrants(const std::vector<std::string>& grants);
base::StatusOr<std::vector<std::string>> DecodeGrants(const std::string& sid,
                                                      std::string_view text);

base::StatusOr<RevokedKind> DecodeRevokedKind(std::int64_t number);

// The rows to write: checked, and of those with one key only the last.
base::StatusOr<std::vector<const RevocationRow*>> Distinct(std::span<const RevocationRow> rows);
base::StatusOr<std::vector<const RevocationKey*>> Distinct(std::span<const RevocationKey> keys);

// What ChangesAfter answers when it cannot go on from `position`.
base::Status ReadAgain(const Position& position);
// What RenewLease answers to an edge without a lease that is behind.
base::Status CatchUp(const std::string& edge, std::uint64_t applied, std::uint64_t newest);
base::Status CheckPublicKeys(std::span<const PublicKeyRow> rows);
base::Status CheckEdge(const std::string& edge);
base::Status NoRevocation(const RevocationKey& key);
base::Status NoSession(const std::string& sid);
base::Status SessionIsThere(const std::string& sid);

}  // namespace exeat::store
