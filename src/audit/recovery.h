// What a log needs to go on after a stop or a crash: the last valid record, and what was torn.
//
// Limits:   only the last kTailBytes are looked at, so that a start takes the same time whatever
//           the log's size; the whole chain is for Verify.
// Errors:   kFailedPrecondition the chain is broken in a way that no crash explains.
// Source:   docs/formats/audit-chain.md
#pragma once

#include <cstdint>
#include <string>

#include "audit/log_file.h"
#include "base/status.h"

namespace exeat::audit {

inline constexpr std::size_t kTailBytes = std::size_t{2} << 20;

struct Tail {
  std::uint64_t seq = 0;   // of the last valid record; 0 in an empty log
  std::string head;        // its hash, or 64 zeros
  std::uint64_t size = 0;  // bytes up to and with it
  std::string torn;        // what stands behind it
};

base::StatusOr<Tail> ReadTail(LogFile& file, const std::string& path);

}  // namespace exeat::audit
