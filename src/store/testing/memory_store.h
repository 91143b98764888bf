// A Store in memory, with a switch that makes it fail: for the tests of the rooms below.
//
// Threads:  safe concurrently, so that a test may throw the switch while another thread writes.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/lease_table.h"
#include "store/row_codec.h"
#include "store/store.h"

namespace exeat::store {

class MemoryStore final : public Store {
 public:
  // Every method answers `failure` and changes nothing until it is set ok again.
  void FailWith(base::Status failure) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(failure);
  }

  // The same for AppendPolicy alone.
  void FailPoliciesWith(base::Status failure) {
    base::MutexLock lock(mutex_);
    policy_failure_ = std::move(failure);
  }
  // Called once, before the next AppendPolicy does anything.
  void BeforeNextPolicy(std::function<void()> call) {
    base::MutexLock lock(mutex_);
    before_policy_ = std::move(call);
  }
  // From now on this is another database, with the same contents.
  void FailOver() {
    base::MutexLock lock(mutex_);
    timeline_ += "'";
  }

  base::Status InsertSession(const SessionRow& row) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (!sessions_.emplace(row.sid, row).second) return SessionIsThere(row.sid);
    return Changed(Encode(row)).status();
  }

  base::Status UpdateSession(const SessionRow& row) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    const auto found = sessions_.find(row.sid);
    if (found == sessions_.end()) return NoSession(row.sid);
    found->second = row;
    return Changed(Encode(row)).status();
  }

  base::StatusOr<SessionRow> FindSession(const std::string& sid) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    const auto found = sessions_.find(sid);
    if (found == sessions_.end()) return NoSession(sid);
    return found->second;
  }

  base::StatusOr<std::uint64_t> PutRevocations(std::span<const RevocationRow> rows) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    ASSIGN_OR_RETURN(const std::vector<const RevocationRow*> distinct, Distinct(rows));
    for (const RevocationRow* row : distinct) {
      revocations_[{row->kind, row->id}] = *row;
      RETURN_IF_ERROR(Changed(Encode(*row)).status());
    }
    return newest_;
  }

  base::StatusOr<std::uint64_t> DeleteRevocations(std::span<const RevocationKey> keys) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    ASSIGN_OR_RETURN(const std::vector<const RevocationKey*> distinct, Distinct(keys));
    for (const RevocationKey* key : distinct) {
      if (!revocations_.contains(*key)) return NoRevocation(*key);
    }
    for (const RevocationKey* key : distinct) {
      revocations_.erase(*key);
      RETURN_IF_ERROR(Changed(Encode(*key)).status());
    }
    return newest_;
  }

  base::StatusOr<std::vector<RevocationKey>> DeleteEnded(base::UnixSeconds ended_before) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    std::erase_if(sessions_,
                  [&](const auto& entry) { return entry.second.expires_at < ended_before; });
    std::vector<RevocationKey> pruned;
    for (const auto& [key, row] : revocations_) {
      if (row.expires_at != 0 && row.expires_at < ended_before) pruned.push_back(key);
    }
    for (const RevocationKey& key : pruned) {
      revocations_.erase(key);
      RETURN_IF_ERROR(Changed(Encode(key)).status());
    }
    std::vector<std::string> kids;
    for (const auto& [kid, row] : keys_) {
      if (row.expires_at < ended_before) kids.push_back(kid);
    }
    for (const std::string& kid : kids) {
      keys_.erase(kid);
      RETURN_IF_ERROR(Changed(EncodeDeletedKey(kid)).status());
    }
    while (changes_.size() > kKeptChanges) changes_.erase(changes_.begin());
    return pruned;
  }

  base::StatusOr<std::uint64_t> AppendPolicy(const std::string& text,
                                             const std::string& base_directory,
                                             base::UnixSeconds applied_at) override {
    std::function<void()> before;
    {
      base::MutexLock lock(mutex_);
      before = std::exchange(before_policy_, nullptr);
    }
    if (before) before();
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    RETURN_IF_ERROR(policy_failure_);
    policies_.push_back({policies_.size() + 1, text, base_directory, applied_at});
    RETURN_IF_ERROR(Changed({.kind = ChangeColumns::kPolicy,
                             .number = static_cast<std::int64_t>(policies_.size())})
                        .status());
    return policies_.back().revision;
  }

  base::StatusOr<std::optional<PolicyRevision>> LatestPolicy() override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (policies_.empty()) return std::optional<PolicyRevision>();
    return std::optional<PolicyRevision>(policies_.back());
  }

  base::StatusOr<std::uint64_t> PutPublicKeys(std::span<const PublicKeyRow> rows) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    RETURN_IF_ERROR(CheckPublicKeys(rows));
    for (const PublicKeyRow& row : rows) {
      keys_[row.kid] = row;
      RETURN_IF_ERROR(Changed(Encode(row)).status());
    }
    return newest_;
  }

  base::StatusOr<std::uint64_t> DeletePublicKeys(std::span<const std::string> kids) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    for (const std::string& kid : kids) {
      if (keys_.erase(kid) == 1) RETURN_IF_ERROR(Changed(EncodeDeletedKey(kid)).status());
    }
    return newest_;
  }

  base::StatusOr<Position> ReadAll(base::UnixSeconds alive_after, const Rows& rows) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    for (const auto& [sid, row] : sessions_) {
      if (rows.session && row.expires_at > alive_after) rows.session(row);
    }
    for (const auto& [key, row] : revocations_) {
      if (rows.revocation) rows.revocation(row);
    }
    for (const auto& [kid, row] : keys_) {
      if (rows.public_key) rows.public_key(row);
    }
    return Position{timeline_, newest_};
  }

  base::StatusOr<std::vector<Change>> ChangesAfter(const Position& position,
                                                   std::size_t limit) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    if (position.timeline != timeline_ || position.seq > newest_) return ReadAgain(position);
    std::vector<Change> next;
    auto change = changes_.upper_bound(position.seq);
    for (; change != changes_.end() && next.size() < limit; ++change)
      next.push_back(change->second);
    const bool gap = next.empty() ? position.seq != newest_ : next[0].seq != position.seq + 1;
    if (gap) return ReadAgain(position);
    return next;
  }

  // Waits, as a shared database does.
  base::StatusOr<bool> WaitForChange(std::uint64_t seq,
                                     std::chrono::milliseconds timeout) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    const base::BootTime deadline = base::SystemClock().BootNow() + timeout;
    while (newest_ <= seq) {
      const base::BootTime left = deadline - base::SystemClock().BootNow();
      if (left <= base::BootTime(0)) return false;
      changed_.WaitFor(mutex_, left);
    }
    return true;
  }

  base::StatusOr<std::uint64_t> RenewLease(const std::string& edge,
                                           const Position& applied) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    return leases_.Renew(edge, applied, {timeline_, newest_});
  }

  base::StatusOr<std::vector<EdgeLease>> LiveEdges() override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    return leases_.Live();
  }

  base::StatusOr<bool> EndLease(const std::string& edge, std::uint64_t renewals) override {
    base::MutexLock lock(mutex_);
    RETURN_IF_ERROR(failure_);
    return leases_.End(edge, renewals);
  }

 private:
  base::StatusOr<std::uint64_t> Changed(const ChangeColumns& columns) REQUIRES(mutex_) {
    ASSIGN_OR_RETURN(Change change, Decode(newest_ + 1, columns));
    ++newest_;
    changes_.emplace(newest_, std::move(change));
    changed_.NotifyAll();
    return newest_;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  base::Status failure_ GUARDED_BY(mutex_);
  base::Status policy_failure_ GUARDED_BY(mutex_);
  std::function<void()> before_policy_ GUARDED_BY(mutex_);
  std::map<std::string, SessionRow> sessions_ GUARDED_BY(mutex_);
  std::map<RevocationKey, RevocationRow> revocations_ GUARDED_BY(mutex_);
  std::vector<PolicyRevision> policies_ GUARDED_BY(mutex_);
  std::map<std::string, PublicKeyRow> keys_ GUARDED_BY(mutex_);
  std::map<std::uint64_t, Change> changes_ GUARDED_BY(mutex_);
  std::uint64_t newest_ GUARDED_BY(mutex_) = 0;
  std::string timeline_ GUARDED_BY(mutex_) = "memory";
  LeaseTable leases_ GUARDED_BY(mutex_){base::SystemClock()};
};

}  // namespace exeat::store
