// Letters of HTTP's own words, which know no locale.
//
// Source:   RFC 9110 section 5.6.2
#pragma once

#include <algorithm>
#include <string_view>

namespace exeat::authz {

constexpr char LowerAscii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return LowerAscii(a) == LowerAscii(b); });
}

}  // namespace exeat::authz
