// JSON from outside: one object, no key twice, no deep nesting.
//
// Why here:  two readers that pick different ones of two equal keys would see two tokens in one,
//            and nlohmann quietly keeps the last.
// Source:    RFC 8725 section 2.4, RFC 7515 section 4, RFC 8259
#pragma once

#include <optional>
#include <string_view>

#include "nlohmann/json.hpp"

namespace exeat::session {

inline constexpr std::size_t kMaxJsonDepth = 8;

// nullopt for anything but a JSON object that begins with the first byte, is valid UTF-8, nests at
// most kMaxJsonDepth deep and repeats no key in any of its objects.
std::optional<nlohmann::json> ParseStrictObject(std::string_view text);

}  // namespace exeat::session
