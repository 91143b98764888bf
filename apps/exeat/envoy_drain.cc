#include "envoy_drain.h"

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/log.h"
#include "operator/edge.h"

namespace exeat {
namespace {

constexpr std::chrono::milliseconds kLook{20};

// An Envoy that does not say is as good as drained: it is ended next.
bool Drained(const EnvoyAdmin& admin, const rpc::AccessLogServer& log) {
  const auto open = admin.OpenConnections();
  if (open.ok() && *open != 0) return false;
  const auto written = admin.LogEntries();
  return !written.ok() || log.taken() >= *written;
}

}  // namespace

void DrainEnvoy(const EnvoyAdmin& admin, const rpc::AccessLogServer& log, StreamCutter& cutter,
                const base::Clock& clock) {
  if (!admin.DrainListeners().ok()) return;
  const base::BootTime begun = clock.BootNow();
  std::unique_ptr<ops::Cut> cut;
  while (!Drained(admin, log)) {
    const auto waited = clock.BootNow() - begun;
    if (waited >= kDrainPatience) {
      base::LogWarn("stopping before Envoy was drained: outcomes of what ran may be missing");
      return;
    }
    if (cut == nullptr && waited >= kStreamPatience) {
      cut = cutter.Begin([](const limits::OpenStream&) { return true; });
    }
    std::this_thread::sleep_for(kLook);  // tidy: allow Envoy can only be asked
  }
}

}  // namespace exeat
