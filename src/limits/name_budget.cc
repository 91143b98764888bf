#include "limits/name_budget.h"

#include <chrono>

namespace exeat::limits {
namespace {

constexpr base::BootTime kWindow = std::chrono::minutes(1);
constexpr base::BootTime kBetweenSweeps = std::chrono::seconds(1);
constexpr std::size_t kMaxAnnounced = 65536;
constexpr std::size_t kV4Bytes = 4;
constexpr std::size_t kV6PrefixBytes = 8;

std::string KeyOf(const base::SocketEnd& source) {
  const std::size_t bytes = source.is_v4 ? kV4Bytes : kV6PrefixBytes;
  return std::string(source.ip.begin(), source.ip.begin() + bytes);
}

}  // namespace

NameBudget::NameBudget(Options options, const base::Clock& clock)
    : options_(options),
      clock_(clock),
      common_(options.unannounced_per_minute, clock.BootNow()),
      forgot_(clock.BootNow()) {}

// A bucket untouched for a minute is full again, so forgetting it loses nothing. Not more than once
// a second: who fills the tables must not make everybody wait for their sweeping.
void NameBudget::ForgetOld(base::BootTime now) {
  if (now - forgot_ < kBetweenSweeps) return;
  forgot_ = now;
  const auto untouched = [now](const auto& entry) {
    return now - entry.second.last_asked() > kWindow;
  };
  std::erase_if(sessions_, untouched);
  std::erase_if(sources_, untouched);
  std::erase_if(announced_, [now](const auto& entry) { return now - entry.second > kWindow; });
}

TokenBucket* NameBudget::Find(Buckets& buckets, std::string_view key, double per_minute,
                              std::size_t most, base::BootTime now) {
  const auto found = buckets.find(key);
  if (found != buckets.end()) return &found->second;
  if (buckets.size() >= most) ForgetOld(now);
  if (buckets.size() >= most) return nullptr;
  return &buckets.emplace(key, TokenBucket(per_minute, now)).first->second;
}

void NameBudget::Announce(std::string_view name, base::BootTime now) {
  if (announced_.size() >= kMaxAnnounced) ForgetOld(now);
  if (announced_.size() < kMaxAnnounced) announced_.insert_or_assign(std::string(name), now);
}

// The common bucket pays here, so AdmitMint must not charge it again.
bool NameBudget::AdmitUntracked(std::string_view name, base::BootTime now) {
  if (!common_.Take(now)) return false;
  Announce(name, now);
  return true;
}

bool NameBudget::AdmitAtConnect(std::string_view sid, std::string_view name) {
  const base::BootTime now = clock_.BootNow();
  base::MutexLock lock(mutex_);
  TokenBucket* bucket =
      Find(sessions_, sid, options_.per_session_per_minute, options_.max_sessions, now);
  if (bucket == nullptr) return AdmitUntracked(name, now);
  if (!bucket->Take(now)) return false;
  Announce(name, now);
  return true;
}

bool NameBudget::AdmitFrom(const base::SocketEnd& source, std::string_view name) {
  const base::BootTime now = clock_.BootNow();
  base::MutexLock lock(mutex_);
  TokenBucket* bucket =
      Find(sources_, KeyOf(source), options_.per_source_per_minute, options_.max_sources, now);
  return bucket == nullptr ? AdmitUntracked(name, now) : bucket->Take(now);
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
