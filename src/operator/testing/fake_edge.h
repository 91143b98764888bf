// An Edge that remembers what was published, with switches that make it refuse.
//
// Threads:  safe concurrently.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "operator/edge.h"

namespace exeat::ops {

class FakeEdge final : public Edge {
 public:
  struct Publication {
    policy::PolicyPtr policy;
    std::uint64_t revision = 0;
  };

  // The snapshot's denylist is read anew from `denylist` at each Current.
  FakeEdge(policy::Policy policy, revocation::Denylist& denylist) : denylist_(denylist) {
    snapshot_.policy = std::make_shared<const policy::Policy>(std::move(policy));
    snapshot_.policy_revision = 1;
    snapshot_.restrictions_in_force = true;
  }

  authz::Snapshot Current() const override {
    base::MutexLock lock(mutex_);
    authz::Snapshot snapshot = snapshot_;
    snapshot.denylist = denylist_.Read();
    return snapshot;
  }
  base::Status Publish(policy::PolicyPtr candidate, std::uint64_t revision) override {
    base::MutexLock lock(mutex_);
    published_.push_back({candidate, revision});
    base::Status answer;
    if (!refusals_.empty()) {
      answer = refusals_.front();
      refusals_.erase(refusals_.begin());
    }
    if (!answer.ok()) return answer;
    snapshot_.policy = std::move(candidate);
    snapshot_.policy_revision = revision;
    return absl::OkStatus();
  }
  base::Status PublishKeys() override {
    base::MutexLock lock(mutex_);
    ++key_publications_;
    return keys_answer_;
  }
  EdgeStatus Status() const override {
    base::MutexLock lock(mutex_);
    return status_;
  }
  std::string CaCertificate() const override { return "-----BEGIN CERTIFICATE-----\nfake\n"; }
  void DenylistChanged() override {
    base::MutexLock lock(mutex_);
    ++denylist_changes_;
  }

  std::unique_ptr<Cut> CutStreams(limits::Whose whose) override {
    base::MutexLock lock(mutex_);
    cuts_.push_back(std::move(whose));
    return std::make_unique<FakeCut>(cut_report_, vetted_);
  }

  // Whose streams were to be ended, call by call.
  std::vector<limits::Whose> cuts() const {
    base::MutexLock lock(mutex_);
    return cuts_;
  }
  // What comes of ending streams from now on.
  void AnswerCuts(CutReport report, std::size_t vetted = 0) {
    base::MutexLock lock(mutex_);
    cut_report_ = report;
    vetted_ = vetted;
  }
  // The next Publish calls answer these, one each, then ok.
  void AnswerPublish(std::vector<base::Status> answers) {
    base::MutexLock lock(mutex_);
    refusals_ = std::move(answers);
  }
  void AnswerPublishKeys(base::Status answer) {
    base::MutexLock lock(mutex_);
    keys_answer_ = std::move(answer);
  }
  void SetStatus(EdgeStatus status) {
    base::MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  std::vector<Publication> published() const {
    base::MutexLock lock(mutex_);
    return published_;
  }
  int key_publications() const {
    base::MutexLock lock(mutex_);
    return key_publications_;
  }
  int denylist_changes() const {
    base::MutexLock lock(mutex_);
    return denylist_changes_;
  }

 private:
  class FakeCut final : public Cut {
   public:
    FakeCut(CutReport report, std::size_t vetted) : report_(report), vetted_(vetted) {}
    CutReport Wait(std::chrono::milliseconds) override { return report_; }
    std::size_t vetted() const override { return vetted_; }

   private:
    const CutReport report_;
    const std::size_t vetted_;
  };

  const revocation::Denylist& denylist_;
  mutable base::Mutex mutex_;
  authz::Snapshot snapshot_ GUARDED_BY(mutex_);
  EdgeStatus status_ GUARDED_BY(mutex_);
  std::vector<base::Status> refusals_ GUARDED_BY(mutex_);
  std::vector<Publication> published_ GUARDED_BY(mutex_);
  base::Status keys_answer_ GUARDED_BY(mutex_);
  int key_publications_ GUARDED_BY(mutex_) = 0;
  int denylist_changes_ GUARDED_BY(mutex_) = 0;
  std::vector<limits::Whose> cuts_ GUARDED_BY(mutex_);
  CutReport cut_report_ GUARDED_BY(mutex_);
  std::size_t vetted_ GUARDED_BY(mutex_) = 0;
};

}  // namespace exeat::ops
