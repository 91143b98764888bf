// A transaction over PostgreSQL that makes changes and numbers them.
//
// Why here:  the one place where the sequence is made. The first statement locks the counter, so
//            the writers of all edges take turns and the numbers are in the order of the commits;
//            what is rolled back takes its numbers with it.
// Errors:    as postgresql.h. Rolls back unless committed.
// Threads:   one thread at a time; the connection outlives it.
// Source:    docs/adr/0014-shared-store.md
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "store/postgresql.h"
#include "store/row_codec.h"

namespace exeat::store {

class Writing {
 public:
  // With numbers for `count` changes.
  static base::StatusOr<Writing> Begin(Connection& connection, std::size_t count);
  Writing(Writing&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)),
        next_(other.next_),
        last_(other.last_) {}
  Writing& operator=(Writing&&) = delete;
  ~Writing();

  // Takes numbers for `count` more.
  base::Status Extend(std::size_t count);
  // Records the next changes under their numbers.
  base::Status Record(const std::vector<ChangeColumns>& changes);
  base::Status Record(ChangeColumns change) { return Record(std::vector{std::move(change)}); }
  // Wakes the followers with it. Answers the last number.
  base::StatusOr<std::uint64_t> Commit();

  // The newest change: of this transaction, or before it where it makes none.
  std::int64_t last() const { return last_; }

 private:
  explicit Writing(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
  std::int64_t next_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace exeat::store
