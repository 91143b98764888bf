// Lets Envoy end without taking anything along: what runs may finish, what does not is cut, and
// every outcome that Envoy has written is on record before it is told to stop.
//
// Errors:   an Envoy that does not answer is not waited for.
// Threads:  blocks its caller for kDrainPatience and one question at most.
// Source:   docs/adr/0009-three-processes.md
#pragma once

#include <chrono>

#include "base/clock.h"
#include "envoy_admin.h"
#include "rpc/accesslog_server.h"
#include "stream_cutter.h"

namespace exeat {

// The guardian's own patience is a little longer.
inline constexpr std::chrono::milliseconds kDrainPatience{4800};
// Of it, what streams have to end by themselves.
inline constexpr std::chrono::milliseconds kStreamPatience{4000};

void DrainEnvoy(const EnvoyAdmin& admin, const rpc::AccessLogServer& log, StreamCutter& cutter,
                const base::Clock& clock);

}  // namespace exeat
