#include "credentials/aws_keys.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"

namespace exeat::credentials {
namespace {

constexpr std::array<std::string_view, 3> kKeys = {"aws_access_key_id", "aws_secret_access_key",
                                                   "aws_session_token"};

base::Status Invalid(const std::string& what) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument, what);
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool IsPrintable(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// What a line gives one of kKeys.
struct Given {
  std::size_t key;
  std::string_view value;
};

base::StatusOr<Given> ReadLine(std::string_view line, int number) {
  const std::size_t equals = line.find('=');
  const std::string_view name = Trimmed(line.substr(0, equals));
  const auto* key = std::find(kKeys.begin(), kKeys.end(), name);
  if (equals == std::string_view::npos || key == kKeys.end()) {
    return Invalid(
        fmt::format("line {} is none of aws_access_key_id = ..., "
                    "aws_secret_access_key = ..., aws_session_token = ...",
                    number));
  }
  const std::string_view value = Trimmed(line.substr(equals + 1));
  if (value.empty()) return Invalid(fmt::format("line {}: {} is blank", number, *key));
  if (!IsPrintable(value)) {
    return Invalid(
        fmt::format("line {}: {} holds a space or what is not ASCII text", number, *key));
  }
  return Given{static_cast<std::size_t>(key - kKeys.begin()), value};
}

}  // namespace

base::StatusOr<AwsKeys> ParseAwsKeys(std::string_view content) {
  std::array<std::string_view, kKeys.size()> values;
  int number = 0;
  bool has_profile = false;
  while (!content.empty()) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = Trimmed(content.substr(0, end));
    content.remove_prefix(std::min(end + 1, content.size()));
    ++number;
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (has_profile) {
        return Invalid(fmt::format("line {} begins a second profile: keep one", number));
      }
      has_profile = true;
      continue;
    }
    ASSIGN_OR_RETURN(const Given given, ReadLine(line, number));
    if (!values[given.key].empty()) {
      return Invalid(fmt::format("line {}: {} stands twice", number, kKeys[given.key]));
    }
    values[given.key] = given.value;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (values[i].empty()) return Invalid(fmt::format("{} is missing", kKeys[i]));
  }
  AwsKeys keys;
  keys.access_key_id = values[0];
  keys.secret_access_key = base::Secret(std::string(values[1]));
  keys.session_token = base::Secret(std::string(values[2]));
  return keys;
}

}  // namespace exeat::credentials
