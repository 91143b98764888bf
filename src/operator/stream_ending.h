// How open streams end here when their right does: what the policy wants, and what is permitted.
//
// Why here:   Check, the cutter, the answers of a revoke, doctor and the metrics must say the same.
// Fail mode:  what is not known to be permitted counts as not permitted. With CutBy::kSocket
//             nothing opens then; else every stream ends by itself within `bound`.
// Units:      `bound` counts from Check's yes: the longest that Envoy may dial before its limit on
//             the stream begins to run, and that limit.
// Threads:    a value and a pure function.
// Source:     docs/adr/0017-streams-that-cannot-be-cut.md
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "policy/policy.h"

namespace exeat::ops {

struct StreamEnding {
  enum class How {
    kRefused,  // no stream opens
    kBounded,  // each is given an end when it opens
    kCut,      // at its socket
  };
  How how = How::kRefused;
  std::chrono::seconds lasts{0};  // Envoy's limit on each stream; kBounded only
  std::chrono::seconds bound{0};  // after which none of them is left; kBounded only
  // For people. Begins with "none" where a revoke does not end streams as the policy wants it.
  std::string words;
};

// Three attempts to connect, five seconds each.
inline constexpr std::chrono::seconds kLongestDial{15};

// `sockets_can_be_cut` and, in words, by what or why not.
StreamEnding EndStreamsBy(const policy::Streams& wanted, bool sockets_can_be_cut,
                          std::string_view means);

}  // namespace exeat::ops
