#include "operator/follower.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"

namespace exeat::ops {
namespace {

using base::StatusCode;
using std::chrono::milliseconds;

constexpr std::size_t kChangesAtOnce = 1000;
constexpr milliseconds kRetry{100};
constexpr milliseconds kCountEvery{2000};
// Of a lease whose holder has gone without giving it back; far more than it takes.
constexpr std::chrono::seconds kForgottenAfter{10};
constexpr milliseconds kLongestLook{50};
constexpr int kFirstTries = 20;

milliseconds Left(base::BootTime until, base::BootTime now) {
  return std::max(std::chrono::ceil<milliseconds>(until - now), milliseconds(0));
}

}  // namespace

base::Status Follower::Start() {
  for (int i = 0; i < kFirstTries && !parts_.lease.Holds(parts_.clock.BootNow()); ++i) {
    if (!position_) RETURN_IF_ERROR(ReadAll());
    RETURN_IF_ERROR(ApplyNext().status());
    RETURN_IF_ERROR(Renew());
  }
  if (!parts_.lease.Holds(parts_.clock.BootNow())) {
    return base::MakeStatus(StatusCode::kUnavailable,
                            "the shared store changes faster than this edge follows; try again");
  }
  base::LogInfo("holds a lease of the shared store", {{"edge", parts_.self}});
  following_ = std::jthread([this](const std::stop_token& stop) { Follow(stop); });
  watching_ = std::jthread([this](const std::stop_token& stop) { WatchLease(stop); });
  return absl::OkStatus();
}

void Follower::Stop() {
  if (!stop_.Stop()) return;
  for (std::jthread* thread : {&following_, &watching_}) {
    if (!thread->joinable()) continue;
    thread->request_stop();
    thread->join();
  }
  parts_.lease.End();
  const auto live = parts_.store.LiveEdges();
  if (!live.ok()) return;
  for (const store::EdgeLease& lease : *live) {
    // What is not given back is found to be over.
    if (lease.edge == parts_.self) (void)parts_.store.EndLease(lease.edge, lease.renewals);
  }
}

Follower::State Follower::state() const {
  base::MutexLock lock(mutex_);
  return state_;
}

void Follower::Follow(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    base::Status status = Step();
    if (status.code() == StatusCode::kOutOfRange) {
      base::LogWarn("everything is read again", {{"why", base::Message(status)}});
      parts_.lease.End();
      position_.reset();
      continue;
    }
    Report(status);
    if (!status.ok() && !stop_.Pause(kRetry)) return;
  }
}

base::Status Follower::Step() {
  const std::uint64_t asked = parts_.sequence.asked();
  if (!position_ || asked != 0) RETURN_IF_ERROR(ReadAll());
  if (asked != 0) parts_.sequence.Answered(asked);
  ASSIGN_OR_RETURN(const bool changed, ApplyNext());
  // At once after a change, which that acknowledges.
  if (changed || parts_.clock.BootNow() >= renew_at_) RETURN_IF_ERROR(Renew());
  if (parts_.clock.BootNow() >= count_at_) RETURN_IF_ERROR(CountEdges());
  return parts_.store.WaitForChange(position_->seq, Left(renew_at_, parts_.clock.BootNow()))
      .status();
}

base::Status Follower::ReadAll() {
  RevocationDesk::Reading revocations;
  SessionDesk::Ends sessions;
  store::Rows rows;
  rows.revocation = [&](const store::RevocationRow& row) { revocations.Take(row.kind, row.id); };
  std::vector<store::PublicKeyRow> keys;
  rows.public_key = [&](const store::PublicKeyRow& row) { keys.push_back(row); };
  rows.session = [&](const store::SessionRow& row) { sessions[row.sid] = row.expires_at; };
  ASSIGN_OR_RETURN(const store::Position read, parts_.store.ReadAll(parts_.clock.UnixNow(), rows));
  parts_.sessions.Replace(std::move(sessions));
  Revoked revoked = parts_.revocations.Replace(std::move(revocations), read.seq);
  RETURN_IF_ERROR(AwaitVetted(revoked));
  AwaitCut(std::move(revoked));
  position_ = read;
  if (parts_.keys.Replace(keys)) parts_.keys_changed();
  parts_.sequence.Came(position_->seq);
  parts_.policy_appended();
  renew_at_ = base::BootTime(0);
  return absl::OkStatus();
}

base::StatusOr<bool> Follower::ApplyNext() {
  ASSIGN_OR_RETURN(const std::vector<store::Change> changes,
                   parts_.store.ChangesAfter(*position_, kChangesAtOnce));
  if (changes.empty()) return false;
  std::optional<Revoked> revoked = parts_.revocations.Follow(changes);
  if (revoked) RETURN_IF_ERROR(AwaitVetted(*revoked));
  if (parts_.keys.Follow(changes)) parts_.keys_changed();
  bool policy = false;
  for (const store::Change& change : changes) {
    if (const auto* session = std::get_if<store::SessionPut>(&change.what)) {
      parts_.sessions.Follow(*session);
    }
    policy = policy || std::holds_alternative<store::PolicyAppended>(change.what);
  }
  position_->seq = changes.back().seq;
  parts_.sequence.Came(position_->seq);
  if (revoked) AwaitCut(*std::move(revoked));
  if (policy) parts_.policy_appended();
  return true;
}

base::Status Follower::Renew() {
  const base::BootTime sent = parts_.clock.BootNow();
  const base::StatusOr<std::uint64_t> newest = parts_.store.RenewLease(parts_.self, *position_);
  // It was not renewed, or ended: what is missing comes with the next round.
  if (newest.status().code() == StatusCode::kFailedPrecondition) return absl::OkStatus();
  RETURN_IF_ERROR(newest.status());
  renew_at_ = sent + revocation::kRenewEvery;
  // Who was without a lease has to catch up first, though nobody ended it.
  if (!parts_.lease.Holds(sent) && *newest > position_->seq) return absl::OkStatus();
  parts_.lease.HoldUntil(sent + revocation::kLease);
  return absl::OkStatus();
}

// In tunnels that are asked about once a denial holds when Envoy has let go of them. Nothing is
// renewed meanwhile: an edge that cannot cut is waited out.
base::Status Follower::AwaitVetted(Revoked& revoked) {
  RevocationDesk::AwaitVetted(revoked);
  if (revoked.uncut == 0) return absl::OkStatus();
  return base::MakeStatus(StatusCode::kUnavailable, revoked.problem);
}

base::Status Follower::CountEdges() {
  const base::BootTime now = parts_.clock.BootNow();
  count_at_ = now + kCountEvery;
  ASSIGN_OR_RETURN(const std::vector<store::EdgeLease> live, parts_.store.LiveEdges());
  std::size_t renewing = 0;
  for (const store::EdgeLease& lease : live) {
    const base::BootTime still = standing_still_.Saw(lease, now);
    if (still <= 2 * kCountEvery) ++renewing;
    if (still < kForgottenAfter || lease.edge == parts_.self) continue;
    RETURN_IF_ERROR(parts_.store.EndLease(lease.edge, lease.renewals).status());
    standing_still_.Forget(lease.edge);
  }
  base::MutexLock lock(mutex_);
  state_.edges = renewing;
  return absl::OkStatus();
}

void Follower::AwaitCut(Revoked revoked) {
  const auto cut = std::make_shared<Revoked>(std::move(revoked));
  const base::Status queued =
      cuts_.TryPost([this, cut] { (void)parts_.revocations.AwaitCut(*cut); });
  if (!queued.ok()) base::LogWarn("a cut goes on without a report");
}

void Follower::Report(const base::Status& status) {
  base::MutexLock lock(mutex_);
  if (state_.store.ok() && !status.ok()) {
    base::LogError("the shared store does not answer", {{"error", base::Message(status)}});
  } else if (!state_.store.ok() && status.ok()) {
    base::LogInfo("the shared store answers again");
  }
  state_.store = status;
  state_.applied = position_ ? position_->seq : 0;
}

void Follower::WatchLease(const std::stop_token& stop) {
  bool held = true;
  while (!stop.stop_requested()) {
    const base::BootTime now = parts_.clock.BootNow();
    const bool holds = parts_.lease.Holds(now);
    if (held && !holds) {
      parts_.lease_lost();
      base::LogError("the lease of the shared store has run out: everything is denied");
    } else if (!held && holds) {
      base::LogInfo("the lease of the shared store is held again");
    }
    held = holds;
    const milliseconds left = holds ? Left(parts_.lease.end(), now) : kLongestLook;
    if (!stop_.Pause(std::clamp(left, milliseconds(1), kLongestLook))) return;
  }
}

}  // namespace exeat::ops
