#include "base/clock.h"

#include <algorithm>
#include <ctime>

namespace exeat::base {
namespace {

class MachineClock final : public Clock {
 public:
  std::chrono::system_clock::time_point WallNow() const override {
    return std::chrono::system_clock::now();
  }
  UnixSeconds UnixNow() const override { return time(nullptr); }
  BootTime BootNow() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
};

}  // namespace

std::chrono::nanoseconds LowestWall::AheadOfBoot() const {
  return clock_.WallNow().time_since_epoch() - clock_.BootNow();
}

UnixSeconds LowestWall::UnixNow() {
  ahead_of_boot_ = std::min(ahead_of_boot_, AheadOfBoot());
  return std::chrono::floor<std::chrono::seconds>(ahead_of_boot_ + clock_.BootNow()).count();
}

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace exeat::base
