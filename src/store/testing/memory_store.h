// A Store in memory, with a switch that makes it fail: for the tests of the rooms below.
//
// Threads:  safe concurrently, so that a test may throw the switch while another thread writes.
#pragma once

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/mutex.h"
#include "store/store.h"

namespace exeat::store {

class MemoryStore final : public Store {
 public:
  // Every method answers `failure` and changes nothing until it is set ok again.
  void FailWith(base::Status failure) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(failure);
  }

  base::Status InsertSession(const SessionRow& row) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (sessions_.emplace(row.sid, row).second) return absl::OkStatus();
    return absl::AlreadyExistsError("session " + row.sid + " is there already");
  }

  base::Status UpdateSession(const SessionRow& row) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    const auto found = sessions_.find(row.sid);
    if (found == sessions_.end()) return absl::NotFoundError("no session " + row.sid);
    found->second = row;
    return absl::OkStatus();
  }

  base::StatusOr<SessionRow> FindSession(const std::string& sid) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    const auto found = sessions_.find(sid);
    if (found == sessions_.end()) return absl::NotFoundError("no session " + sid);
    return found->second;
  }

  base::StatusOr<std::vector<SessionRow>> ListSessions(base::UnixSeconds alive_after) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    std::vector<SessionRow> rows;
    for (const auto& [sid, row] : sessions_) {
      if (row.expires_at > alive_after) rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end(), [](const SessionRow& a, const SessionRow& b) {
      return std::tie(a.created_at, a.sid) < std::tie(b.created_at, b.sid);
    });
    return rows;
  }

  base::Status PutRevocation(const RevocationRow& row) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    RETURN_IF_ERROR(CheckRevocationKey(row.kind, row.id));
    revocations_[{row.kind, row.id}] = row;
    return absl::OkStatus();
  }

  base::Status DeleteRevocation(RevokedKind kind, const std::string& id) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (revocations_.erase({kind, id}) == 1) return absl::OkStatus();
    return absl::NotFoundError("no such revocation");
  }

  base::StatusOr<std::vector<RevocationRow>> ListRevocations() override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    std::vector<RevocationRow> rows;
    for (const auto& [key, row] : revocations_) rows.push_back(row);
    std::sort(rows.begin(), rows.end(), [](const RevocationRow& a, const RevocationRow& b) {
      return std::tie(a.revoked_at, a.kind, a.id) < std::tie(b.revoked_at, b.kind, b.id);
    });
    return rows;
  }

  base::Status Prune(base::UnixSeconds ended_before) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    std::erase_if(sessions_,
                  [&](const auto& entry) { return entry.second.expires_at < ended_before; });
    std::erase_if(revocations_, [&](const auto& entry) {
      return entry.second.expires_at != 0 && entry.second.expires_at < ended_before;
    });
    return absl::OkStatus();
  }

  base::StatusOr<std::uint64_t> AppendPolicy(const std::string& text,
                                             const std::string& base_directory,
                                             base::UnixSeconds applied_at) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    policies_.push_back({policies_.size() + 1, text, base_directory, applied_at});
    return policies_.back().revision;
  }

  base::StatusOr<std::optional<PolicyRevision>> LatestPolicy() override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (policies_.empty()) return std::optional<PolicyRevision>();
    return std::optional<PolicyRevision>(policies_.back());
  }

 private:
  base::Mutex mutex_;
  base::Status failure_ GUARDED_BY(mutex_);
  std::map<std::string, SessionRow> sessions_ GUARDED_BY(mutex_);
  std::map<std::pair<RevokedKind, std::string>, RevocationRow> revocations_ GUARDED_BY(mutex_);
  std::vector<PolicyRevision> policies_ GUARDED_BY(mutex_);
};

}  // namespace exeat::store
