// The record of a cut: how many of the streams that had to end did so.
//
// Why here:  a revoke, a policy and a token's end cut alike and are recorded alike.
// Fail mode: a record that cannot be written is logged: the cut is done.
// Threads:   safe concurrently.
// Source:    docs/formats/audit-chain.md
#pragma once

#include <string>

#include "audit/event.h"
#include "operator/edge.h"
#include "operator/recorder.h"

namespace exeat::ops {

// `event` says whose streams; the rest is filled in. Nothing is recorded when none was open.
void RecordCut(const Recorder& recorder, audit::Event event, const CutReport& report);
// Of a cut that was nobody's in particular: `reason` says why.
void RecordCut(const Recorder& recorder, const std::string& reason, const CutReport& report);

}  // namespace exeat::ops
