// What the edge refused one session, read from the audit log: most clients show no more of a
// refused CONNECT than its status.
//
// Bounded:  looks at no more than the newest records and gives no more than a few lines.
// Errors:   none: it only adds to what was said already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/edge_client.h"

namespace exeat::cli {

// Each as `METHOD HOST:PORT, CODE`, once, oldest first. `after_seq`: a record from before the
// session.
std::vector<std::string> RefusedTo(EdgeClient& edge, const std::string& sid,
                                   std::uint64_t after_seq);

}  // namespace exeat::cli
