// Durations as a person writes them: 30s, 15m, 1h.
//
// Errors:   nullopt for anything else: no unit, fractions, signs, or more than a day.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace exeat::cli {

std::optional<std::chrono::seconds> ParseDuration(std::string_view text);

}  // namespace exeat::cli
