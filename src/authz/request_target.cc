#include "authz/request_target.h"

#include <algorithm>
#include <string>
#include <utility>

#include "authz/ascii.h"
#include "policy/ip_address.h"
#include "policy/path_rule.h"

namespace exeat::authz {
namespace {

constexpr int kMaxDecodings = 5;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z'); }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsNumber(std::string_view label) {
  if (label.empty()) return false;
  if (std::all_of(label.begin(), label.end(), IsDigit)) return true;
  return label.size() >= 2 && label[0] == '0' && LowerAscii(label[1]) == 'x';
}

// "." and "..", with whatever parameters an origin may cut off behind them.
bool IsDotSegment(std::string_view segment) {
  const std::string_view name = segment.substr(0, segment.find(';'));
  return name == "." || name == "..";
}

bool HasForbiddenEscape(std::string_view path) {
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const std::string_view escape = path.substr(at, 3);
    for (const std::string_view forbidden : {"%2f", "%5c", "%00"}) {
      if (EqualsIgnoringCase(escape, forbidden)) return true;
    }
  }
  return false;
}

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `path` with each %XX read once; an overlong %c0%ae is the dot that lax decoders make of it.
std::string DecodeOnce(std::string_view path) {
  std::string decoded;
  decoded.reserve(path.size());
  while (!path.empty()) {
    if (path.size() >= 6 && EqualsIgnoringCase(path.substr(0, 6), "%c0%ae")) {
      decoded.push_back('.');
      path.remove_prefix(6);
      continue;
    }
    const bool escape =
        path.size() >= 3 && path[0] == '%' && HexDigit(path[1]) >= 0 && HexDigit(path[2]) >= 0;
    decoded.push_back(escape ? static_cast<char>(HexDigit(path[1]) * 16 + HexDigit(path[2]))
                             : path[0]);
    path.remove_prefix(escape ? 3 : 1);
  }
  return decoded;
}

// Letters, digits and marks that no rule below looks at, between single slashes: most paths.
bool IsPlain(std::string_view target) {
  char before = ' ';
  for (const char c : target) {
    const bool plain = IsAlnum(c) || c == '-' || c == '_' || c == '~' || c == '?' || c == '=' ||
                       c == '&' || (c == '/' && before != '/');
    if (!plain) return false;
    before = c;
  }
  return true;
}

bool HasDotSegment(std::string_view path) {
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find_first_of("/\\", start), path.size());
    if (IsDotSegment(path.substr(start, end - start))) return true;
    start = end + 1;
  }
  return false;
}

// Whether a dot segment shows now, or after decoding the path again as an origin might.
bool HoldsDotSegment(std::string_view path) {
  std::string decoded(path);
  for (int level = 0; level < kMaxDecodings; ++level) {
    if (HasDotSegment(decoded)) return true;
    std::string next = DecodeOnce(decoded);
    if (next == decoded) return false;
    decoded = std::move(next);
  }
  return true;  // deeper than anything honest
}

}  // namespace

bool IsMethod(std::string_view method) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !method.empty() && std::all_of(method.begin(), method.end(), [](char c) {
    return IsAlnum(c) || kMarks.find(c) != std::string_view::npos;
  });
}

bool IsAddressLiteral(std::string_view authority) {
  if (authority.starts_with('[')) return true;
  if (policy::IpAddress::Parse(authority)) return true;
  std::string_view host = authority.substr(0, authority.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  return IsNumber(host.substr(host.rfind('.') + 1));
}

bool IsMalformedTarget(std::string_view target) {
  if (!target.starts_with('/')) return true;
  if (IsPlain(target)) return false;
  if (std::any_of(target.begin(), target.end(), IsControl)) return true;
  const std::string_view path = policy::PathOnly(target);
  const auto holds = [path](char c) { return path.find(c) != std::string_view::npos; };
  if (holds('\\') || holds('#') || HasForbiddenEscape(path)) return true;
  return path.find("//") != std::string_view::npos || HoldsDotSegment(path);
}

}  // namespace exeat::authz
