// Text forms of bytes: base64url (RFC 4648 section 5, no padding), base64 and lower-case hex.
//
// Errors:  decoders are strict: a character outside the alphabet, wrong padding or set trailing
//          bits are nullopt, so that one value has one spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace exeat::base {

std::string Base64UrlEncode(std::string_view bytes);
std::optional<std::string> Base64UrlDecode(std::string_view text);

std::string Base64Encode(std::string_view bytes);
// Padding may be left out, as proxy clients do; when present it must be right.
std::optional<std::string> Base64Decode(std::string_view text);

std::string HexEncode(std::string_view bytes);
std::optional<std::string> HexDecode(std::string_view text);

}  // namespace exeat::base
