#include "audit/json_line.h"

#include <charconv>

namespace exeat::audit {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

// The code point at the front of `text` and its length; kReplacement and 1 when it is not UTF-8.
struct CodePoint {
  std::uint32_t value;
  std::size_t length;
};

CodePoint DecodeFront(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::uint8_t first = byte(0);
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {kReplacement, 1};
  std::uint32_t value = first & (0x7FU >> length);
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xC0) != 0x80) return {kReplacement, 1};
    value = (value << 6) | (byte(at) & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {kReplacement, 1};
  return {value, length};
}

void AppendUnit(std::string& out, std::uint32_t unit) {
  constexpr char kHex[] = "0123456789abcdef";
  const char escaped[] = {
      '\\',           'u', kHex[(unit >> 12) & 15], kHex[(unit >> 8) & 15], kHex[(unit >> 4) & 15],
      kHex[unit & 15]};
  out.append(escaped, sizeof(escaped));
}

bool IsPlain(char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

}  // namespace

void JsonLine::Key(std::string_view key) {
  if (out_.back() != '{') out_ += ',';
  out_ += '"';
  out_ += key;
  out_ += "\":";
}

void JsonLine::Text(std::string_view key, std::string_view value, std::size_t limit) {
  Key(key);
  out_ += '"';
  std::size_t kept = value.size();
  if (kept > limit) {
    kept = limit;
    // Not through the middle of a character.
    while (kept > 0 && (static_cast<std::uint8_t>(value[kept]) & 0xC0) == 0x80) --kept;
  }
  Escape(value.substr(0, kept));
  if (kept < value.size()) {
    out_ += "...[+";
    out_ += std::to_string(value.size() - kept);
    out_ += ']';
  }
  out_ += '"';
}

void JsonLine::Number(std::string_view key, std::uint64_t value) {
  Key(key);
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out_.append(digits, end);
}

void JsonLine::Raw(std::string_view members) {
  if (out_.back() != '{') out_ += ',';
  out_ += members;
}

void JsonLine::Escape(std::string_view value) {
  while (!value.empty()) {
    std::size_t plain = 0;
    while (plain < value.size() && IsPlain(value[plain])) ++plain;
    out_.append(value.substr(0, plain));
    value.remove_prefix(plain);
    if (value.empty()) return;
    const char c = value.front();
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
      value.remove_prefix(1);
    } else if (static_cast<std::uint8_t>(c) < 0x80) {
      AppendUnit(out_, static_cast<std::uint8_t>(c));
      value.remove_prefix(1);
    } else {
      const CodePoint point = DecodeFront(value);
      if (point.value < 0x10000) {
        AppendUnit(out_, point.value);
      } else {
        AppendUnit(out_, 0xD800 + ((point.value - 0x10000) >> 10));
        AppendUnit(out_, 0xDC00 + ((point.value - 0x10000) & 0x3FF));
      }
      value.remove_prefix(point.length);
    }
  }
}

}  // namespace exeat::audit
