// What an id, a subject or a name in an operator's request may look like.
//
// Errors:   kInvalidArgument says which text and why, never the text.
// Threads:  pure.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"
#include "fmt/format.h"

namespace exeat::ops {

inline constexpr std::size_t kMaxIdBytes = 256;

// Printable ASCII, not empty: ids travel in JSON, headers and terminals.
inline base::Status CheckText(const std::string& text, const char* what, std::size_t max_bytes) {
  using base::StatusCode;
  if (text.empty()) {
    return base::MakeStatus(StatusCode::kInvalidArgument, fmt::format("{} is empty", what));
  }
  if (text.size() > max_bytes) {
    return base::MakeStatus(StatusCode::kInvalidArgument,
                            fmt::format("{} is longer than {} bytes", what, max_bytes));
  }
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) {
      return base::MakeStatus(
          StatusCode::kInvalidArgument,
          fmt::format("{} holds a character that is not printable ASCII", what));
    }
  }
  return absl::OkStatus();
}

}  // namespace exeat::ops
