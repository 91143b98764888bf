#include "audit/recovery.h"

#include <algorithm>

#include "audit/chain.h"
#include "fmt/format.h"

namespace exeat::audit {
namespace {

base::Status Broken(const std::string& path, const std::string& problem) {
  return base::MakeStatus(
      base::StatusCode::kFailedPrecondition,
      fmt::format("{}: {}; keep it, look with: exeat audit verify, and move it away to start a "
                  "new log",
                  path, problem));
}

}  // namespace

base::StatusOr<Tail> ReadTail(LogFile& file, const std::string& path) {
  ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(size, kTailBytes));
  ASSIGN_OR_RETURN(const std::string content, file.Read(size - length, length));
  std::string_view rest = content;
  bool from_start = length == size;
  if (!from_start) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return Broken(path, "no record at its end");
    rest.remove_prefix(end + 1);
  }
  ChainWalk walk;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    // A stop in the middle of a write leaves a line without its end; a power cut may also leave
    // blocks of zeros, since the file's length reaches the disk before its content. Nothing from
    // there on was ever synced.
    if (end == std::string_view::npos || line.find('\0') != std::string_view::npos) break;
    if (!from_start) {
      const auto link = ParseLink(line);
      if (!link) return Broken(path, "a line near its end is not a record");
      walk = ChainWalk::Believing(*link);
      from_start = true;
    }
    if (!walk.Take(line)) return Broken(path, walk.problem());
    rest.remove_prefix(end + 1);
  }
  if (!from_start) return Broken(path, "no record at its end");
  return Tail{walk.seq(), walk.head(), size - rest.size(), std::string(rest)};
}

}  // namespace exeat::audit
