// Text forms that several commands share.
#pragma once

#include <string>

#include "base/clock.h"
#include "nlohmann/json_fwd.hpp"

namespace exeat::cli {

// RFC 3339 in UTC with seconds; "-" for 0.
std::string TimeText(base::UnixSeconds time);

// Fit for a terminal: what is no visible ASCII character or space becomes a question mark.
std::string Printable(std::string text);

// One line, and never throws on text that is not UTF-8.
std::string JsonLine(const nlohmann::json& json);

}  // namespace exeat::cli
