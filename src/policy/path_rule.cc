#include "policy/path_rule.h"

#include <algorithm>

#include "fmt/format.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxPatternBytes = 2048;
constexpr std::string_view kPrefixEnd = "/**";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(int c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// The byte that "%XX" at `at` stands for, or -1 when two hex digits do not follow.
int EscapedByte(std::string_view path, std::size_t at) {
  if (at + 2 >= path.size()) return -1;
  const int high = HexValue(path[at + 1]);
  const int low = HexValue(path[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// "..;x" too: some servers drop path parameters before they resolve dots.
bool IsDotSegment(std::string_view segment) {
  const std::string_view name = segment.substr(0, segment.find(';'));
  return name == "." || name == "..";
}

bool HasDotSegment(std::string_view path) {
  std::size_t start = 1;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (IsDotSegment(path.substr(start, end - start))) return true;
    start = end + 1;
  }
  return false;
}

// What a path that Envoy has normalised and not refused cannot hold; empty when `path` is such a
// path.
std::string_view Unnormalised(std::string_view path) {
  if (!path.starts_with('/')) return "must start with '/'";
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto c = static_cast<unsigned char>(path[i]);
    if (c <= 0x20 || c >= 0x7f) {
      return "holds a space, a control or a non-ASCII character: write it as %XX";
    }
    if (c == '#') return "holds a '#'";
    if (c == '\\') return "holds a backslash";
    if (c != '%') continue;
    switch (const int escaped = EscapedByte(path, i); escaped) {
      case -1:
        return "holds a '%' that two hex digits do not follow";
      case '/':
      case '\\':
        return "holds an escaped slash (%2f, %5c), which the edge refuses";
      case '.':
        return "holds an escaped dot (%2e)";
      default:
        if (escaped < 0x20 || escaped == 0x7f) return "holds an escaped control character";
    }
  }
  if (path.find("//") != std::string_view::npos) return "holds \"//\", which the edge merges";
  if (HasDotSegment(path)) return "holds a dot segment (/./ or /../)";
  return {};
}

bool EscapesUnreserved(std::string_view pattern) {
  for (std::size_t at = pattern.find('%'); at != std::string_view::npos;
       at = pattern.find('%', at + 1)) {
    if (IsUnreserved(EscapedByte(pattern, at))) return true;
  }
  return false;
}

}  // namespace

std::string PathRuleObjection(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return fmt::format("is longer than {} bytes", kMaxPatternBytes);
  }
  if (pattern.find('?') != std::string_view::npos) {
    return "holds a '?': a rule is about the path, the query is not looked at";
  }
  if (const std::string_view wrong = Unnormalised(pattern); !wrong.empty()) {
    return std::string(wrong);
  }
  std::string_view fixed = pattern;
  if (fixed.ends_with(kPrefixEnd)) fixed.remove_suffix(kPrefixEnd.size());
  if (fixed.find('*') != std::string_view::npos) {
    return "holds a '*': only a final \"/**\" is a wildcard";
  }
  if (EscapesUnreserved(pattern)) {
    return "escapes a character that needs no escape: write the character itself";
  }
  return {};
}

std::optional<PathRule> PathRule::Parse(std::string_view pattern) {
  if (!PathRuleObjection(pattern).empty()) return std::nullopt;
  PathRule rule;
  rule.is_prefix_ = pattern.ends_with(kPrefixEnd);
  if (rule.is_prefix_) pattern.remove_suffix(2);
  rule.text_ = pattern;
  return rule;
}

bool PathRule::Matches(std::string_view path) const {
  if (text_.empty()) return false;  // default-constructed: permits nothing
  const std::string_view plain = PathOnly(path);
  if (!Unnormalised(plain).empty()) return false;
  return is_prefix_ ? plain.starts_with(text_) : plain == text_;
}

bool PathRule::Covers(const PathRule& other) const {
  if (text_.empty()) return false;
  if (is_prefix_) return other.text_.starts_with(text_);
  return *this == other;
}

std::string_view PathOnly(std::string_view target) { return target.substr(0, target.find('?')); }

}  // namespace exeat::policy
