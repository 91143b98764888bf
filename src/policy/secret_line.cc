#include "policy/secret_line.h"

#include <algorithm>

namespace exeat::policy {

std::string_view SecretLine(std::string_view content) {
  if (content.ends_with('\n')) content.remove_suffix(1);
  if (content.ends_with('\r')) content.remove_suffix(1);
  return content;
}

std::string_view SecretLineObjection(std::string_view secret) {
  if (secret.empty()) return "is empty: write the value into it";
  const bool control = std::any_of(secret.begin(), secret.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (control) {
    return "holds a line break or another control character: it must be one line, the value alone";
  }
  if (secret.front() == ' ' || secret.back() == ' ') {
    return "begins or ends with a space: it must hold the value alone";
  }
  return {};
}

}  // namespace exeat::policy
