#include "authz/request_target.h"

#include <algorithm>
#include <cctype>

#include "authz/ascii.h"
#include "policy/ip_address.h"
#include "policy/path_rule.h"

namespace exeat::authz {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z'); }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsNumber(std::string_view label) {
  if (label.empty()) return false;
  if (std::all_of(label.begin(), label.end(), IsDigit)) return true;
  return label.size() >= 2 && label[0] == '0' && LowerAscii(label[1]) == 'x';
}

// Takes one path character from the front, with %2e read as the dot it stands for.
char TakeCharacter(std::string_view& segment) {
  if (segment.size() >= 3 && EqualsIgnoringCase(segment.substr(0, 3), "%2e")) {
    segment.remove_prefix(3);
    return '.';
  }
  const char c = segment.front();
  segment.remove_prefix(1);
  return c;
}

bool IsDotSegment(std::string_view segment) {
  std::size_t dots = 0;
  while (!segment.empty()) {
    const char c = TakeCharacter(segment);
    if (c == ';') break;
    if (c != '.') return false;
    ++dots;
  }
  return dots == 1 || dots == 2;
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
  if (std::any_of(target.begin(), target.end(), IsControl)) return true;
  const std::string_view path = policy::PathOnly(target);
  if (path.find_first_of("\\#") != std::string_view::npos || HasForbiddenEscape(path)) return true;
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    if (IsDotSegment(segment)) return true;
    if (segment.empty() && end < path.size()) return true;
    start = end + 1;
  }
  return false;
}

}  // namespace exeat::authz
