#include "operator/vetted_tunnels.h"

#include <iterator>
#include <set>
#include <utility>

#include "base/log.h"

namespace exeat::ops {
namespace {

constexpr unsigned kTicksPerCut = 10;

limits::Whose AllOfThem() {
  return [](const limits::OpenStream& stream) { return stream.is_vetted; };
}

}  // namespace

bool VettedTunnels::MayVet() {
  ++asked_;
  return CanRely();
}

bool VettedTunnels::Relist() {
  base::MutexLock lock(mutex_);
  const std::uint64_t asked = asked_;
  if (!MayBeAny() && listed_.empty()) return false;
  const revocation::Snapshot denylist = parts_.denylist.Read();
  std::set<std::string> sids;
  bool found = false;
  (void)parts_.streams.Find([&](const limits::OpenStream& stream) {
    if (!stream.is_vetted) return false;
    found = true;
    if (denylist.Check(stream.claims->identity) != revocation::Standing::kClear) {
      sids.insert(stream.claims->sid);
    }
    return false;
  });
  if (!found) none_until_ = asked;
  full_ = sids.size() > kMostListed;
  if (full_) {
    CutAll("more revoked sessions have one than the list can hold");
    sids.erase(std::next(sids.begin(), kMostListed), sids.end());
  }
  std::vector<std::string> list(sids.begin(), sids.end());
  if (list == listed_) return false;
  const base::Status pushed = parts_.push(list);
  if (!pushed.ok()) {
    base::LogError("the list of revoked sessions", {{"error", base::Message(pushed)}});
    Refused();
    return false;
  }
  parts_.metrics.SetListed(list.size());
  listed_ = std::move(list);
  return true;
}

bool VettedTunnels::Tidy() {
  if (MayBeAny() && !CanRely() && ++ticks_ % kTicksPerCut == 0) parts_.cut(AllOfThem());
  return (listed() > 0 || full_) && Relist();
}

void VettedTunnels::CutAll(std::string_view why) {
  if (!MayBeAny()) return;
  base::LogWarn("cutting every tunnel that is asked about once", {{"why", std::string(why)}});
  parts_.metrics.AllVettedCut();
  parts_.cut(AllOfThem());
}

bool VettedTunnels::AnyOpen() const {
  if (!MayBeAny()) return false;
  bool found = false;
  (void)parts_.streams.Find([&](const limits::OpenStream& stream) {
    found = found || stream.is_vetted;
    return false;
  });
  return found;
}

void VettedTunnels::Disconnected() {
  connected_ = false;
  CutAll("Envoy cannot be told of a revoke");
}

void VettedTunnels::Refused() {
  refused_ = true;
  CutAll("Envoy refused a filter");
}

std::size_t VettedTunnels::listed() const {
  base::MutexLock lock(mutex_);
  return listed_.size();
}

}  // namespace exeat::ops
