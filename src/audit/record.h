// Renders an Event as one OCSF 1.8 record: class 4002, 4001, 3002 or 6003.
//
// Shapes:   one line of printable ASCII without its newline, at most kMaxRecordBytes. It starts
// with
//           `unmapped.exeat`, where the chain stands, so that a reader finds it without a parser.
// Source:   docs/formats/audit-chain.md; OCSF 1.8.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "audit/event.h"

namespace exeat::audit {

inline constexpr std::size_t kMaxRecordBytes = std::size_t{128} << 10;

// Where the record stands: these three are all that the log adds to an event.
struct Position {
  std::uint64_t seq = 0;
  std::string_view prev;  // 64 hex digits
  std::int64_t time_ms = 0;
};

// The `metadata` member that every record of a deployment carries.
std::string RenderMetadata(std::string_view deployment);

// Replaces the content of `out`. `metadata` is from RenderMetadata.
void RenderRecord(const Event& event, const Position& position, std::string_view metadata,
                  std::string& out);

}  // namespace exeat::audit
