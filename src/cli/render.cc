#include "cli/render.h"

#include <algorithm>
#include <ctime>

#include "nlohmann/json.hpp"

namespace exeat::cli {

std::string TimeText(base::UnixSeconds time) {
  if (time == 0) return "-";
  const std::time_t seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  char text[32];
  if (gmtime_r(&seconds, &parts) == nullptr) return "-";
  const std::size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string Printable(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

std::string JsonLine(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace exeat::cli
