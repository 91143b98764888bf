#include "cli/find_edge.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "base/file.h"
#include "guardian/socket_path.h"

namespace exeat::cli {
namespace {

std::string Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

// The scalar behind `state:` at the left margin; "" when there is none.
std::string StateKey(const std::string& yaml) {
  std::istringstream lines(yaml);
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kKey = "state:";
    if (line.compare(0, kKey.size(), kKey) != 0) continue;
    std::string value = Trim(std::string_view(line).substr(kKey.size()));
    if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
      return value.substr(1, value.find(value.front(), 1) - 1);
    }
    if (!value.empty() && value.front() == '#') return "";
    return Trim(std::string_view(value).substr(0, value.find(" #")));
  }
  return "";
}

}  // namespace

std::string Absolute(const std::string& path) {
  std::error_code failed;
  // First of all, since weakly_canonical leaves a path relative whose first part does not exist.
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  const std::filesystem::path full = std::filesystem::weakly_canonical(absolute, failed);
  return failed ? absolute.lexically_normal().string() : full.string();
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

base::StatusOr<std::string> FindState(const std::string& named, const std::string& policy_file) {
  if (!named.empty()) return Absolute(named);
  if (const char* from_environment = std::getenv("EXEAT_STATE");
      from_environment != nullptr && *from_environment != '\0') {
    return Absolute(from_environment);
  }
  const std::string file = policy_file.empty() ? "exeat.yaml" : policy_file;
  if (const base::StatusOr<std::string> yaml = base::ReadFile(file); yaml.ok()) {
    const std::string state = StateKey(*yaml);
    if (!state.empty()) {
      return Absolute((std::filesystem::path(DirectoryOf(file)) / state).string());
    }
  }
  return Absolute("state");
}

base::StatusOr<std::string> OperatorSocket(const std::string& state) {
  ASSIGN_OR_RETURN(const std::string directory, guardian::FindSocketDirectory(state));
  return directory + "/operator.sock";
}

}  // namespace exeat::cli
