// What became of open streams that were to end, for the commands that end some.
//
// Errors:   streams that are not known to have ended make a command fail, however much of it is in
//           force: what was to stop may go on.
#pragma once

#include "cli/command.h"
#include "nlohmann/json_fwd.hpp"
#include "operator.pb.h"

namespace exeat::cli {

// {"cut","uncut","ms","ends_within_s"}
nlohmann::json StreamsJson(const ops::v1::StreamsCut& streams);

// One line on standard output.
void PrintStreams(Context& context, const ops::v1::StreamsCut& streams);

// kDone, or kFailed after a word on standard error.
int JudgeStreams(Context& context, const ops::v1::StreamsCut& streams);

}  // namespace exeat::cli
