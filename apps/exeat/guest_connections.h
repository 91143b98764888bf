// Who may open a connection of the transparent leg, and where it is kept once open.
//
// Why here:   joins the check to this edge's budgets, its streams and its records.
// Source:     docs/adr/0010-delta-ads.md
#pragma once

#include <memory>

#include "leaf_source.h"
#include "operator/metrics.h"
#include "operator/recorder.h"
#include "revocation/lease.h"
#include "rpc/authz_server.h"
#include "rpc/connection_check.h"
#include "running_edge.h"
#include "stream_cutter.h"

namespace exeat {

// All of it outlives the check.
std::unique_ptr<rpc::ConnectionCheck> CheckGuestConnections(RunningEdge& edge, LeafSource& leaves,
                                                            StreamCutter& cutter,
                                                            ops::Recorder& recorder,
                                                            ops::Metrics& metrics);

// Judges their requests; `lease` is null where the denylist is this edge's own.
std::unique_ptr<rpc::AuthzServer> CheckGuestRequests(RunningEdge& edge, LeafSource& leaves,
                                                     StreamCutter& cutter, ops::Recorder& recorder,
                                                     ops::Metrics& metrics,
                                                     const revocation::Lease* lease,
                                                     const base::Clock& clock);

}  // namespace exeat
