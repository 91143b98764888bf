#include "cli/duration.h"

#include <charconv>
#include <cstdint>

namespace exeat::cli {

std::optional<std::chrono::seconds> ParseDuration(std::string_view text) {
  std::uint32_t count = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || end - unit != 1 || count > 86400) return std::nullopt;
  const std::chrono::seconds many(count);
  std::chrono::seconds total{0};
  if (*unit == 's') total = many;
  if (*unit == 'm') total = many * 60;
  if (*unit == 'h') total = many * 3600;
  const bool zero = count == 0 && (*unit == 's' || *unit == 'm' || *unit == 'h');
  if ((total.count() == 0 && !zero) || total > std::chrono::hours(24)) return std::nullopt;
  return total;
}

}  // namespace exeat::cli
