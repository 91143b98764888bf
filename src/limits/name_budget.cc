#include "limits/name_budget.h"

#include <chrono>

namespace exeat::limits {
namespace {

constexpr base::BootTime kWindow = std::chrono::minutes(1);
constexpr std::size_t kMaxAnnounced = 65536;

}  // namespace

NameBudget::NameBudget(Options options, const base::Clock& clock)
    : options_(options), clock_(clock), common_(options.unannounced_per_minute, clock.BootNow()) {}

// A bucket untouched for a minute is full again, so forgetting it loses nothing.
void NameBudget::ForgetOld(base::BootTime now) {
  std::erase_if(sessions_,
                [now](const auto& entry) { return now - entry.second.last_asked() > kWindow; });
  std::erase_if(announced_, [now](const auto& entry) { return now - entry.second > kWindow; });
}

bool NameBudget::AdmitAtConnect(std::string_view sid, std::string_view name) {
  const base::BootTime now = clock_.BootNow();
  base::MutexLock lock(mutex_);
  if (sessions_.size() >= options_.max_sessions || announced_.size() >= kMaxAnnounced) {
    ForgetOld(now);
  }
  auto found = sessions_.find(sid);
  if (found == sessions_.end()) {
    if (sessions_.size() >= options_.max_sessions) {
      return common_.Take(now);
    }
    found = sessions_.emplace(sid, TokenBucket(options_.per_session_per_minute, now)).first;
  }
  if (!found->second.Take(now)) return false;
  if (announced_.size() < kMaxAnnounced) announced_.insert_or_assign(std::string(name), now);
  return true;
}

bool NameBudget::AdmitMint(std::string_view name) {
  const base::BootTime now = clock_.BootNow();
  base::MutexLock lock(mutex_);
  const auto found = announced_.find(name);
  if (found != announced_.end()) {
    const bool fresh = now - found->second <= kWindow;
    announced_.erase(found);
    if (fresh) return true;
  }
  return common_.Take(now);
}

}  // namespace exeat::limits
