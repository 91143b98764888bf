#include "resolver/name_state.h"

#include <algorithm>

namespace exeat::resolver {
namespace {

std::chrono::seconds Backoff(int failures) {
  std::chrono::seconds wait = kFirstRetry;
  for (int i = 1; i < failures && wait < kLastRetry; ++i) wait *= 2;
  return std::min(wait, kLastRetry);
}

}  // namespace

void NameState::Abandon() {
  under_way_ = false;
  due_ = base::BootTime(0);
}

void NameState::Take(const Answer& answer, base::BootTime now) {
  under_way_ = false;
  switch (answer.outcome) {
    case Answer::Outcome::kAddresses:
      addresses_ = answer.addresses;
      std::sort(addresses_->begin(), addresses_->end());
      addresses_->erase(std::unique(addresses_->begin(), addresses_->end()), addresses_->end());
      failures_ = 0;
      due_ = now + std::clamp(answer.ttl, kMinTtl, kMaxTtl);
      stale_until_ = due_ + kServeStale;
      return;
    case Answer::Outcome::kAbsent:
      addresses_.emplace();
      failures_ = 0;
      due_ = now + kAskAbsentAgain;
      return;
    case Answer::Outcome::kFailed:
      if (!addresses_) addresses_.emplace();
      ++failures_;
      due_ = now + Backoff(failures_);
      return;
  }
}

bool NameState::Expire(base::BootTime now) {
  if (!addresses_ || addresses_->empty() || now < stale_until_) return false;
  addresses_->clear();
  return true;
}

base::BootTime NameState::NextMoment() const {
  base::BootTime next = under_way_ ? base::BootTime::max() : due_;
  if (addresses_ && !addresses_->empty()) next = std::min(next, stale_until_);
  return next;
}

}  // namespace exeat::resolver
