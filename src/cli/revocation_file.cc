#include "cli/revocation_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>

#include "base/fd.h"
#include "fmt/format.h"
#include "operator/revocations.h"
#include "session/claims.h"

namespace exeat::cli {
namespace {

using base::MakeStatus;
using base::StatusCode;

constexpr std::size_t kMaxFileBytes = std::size_t{32} << 20;
constexpr int kMaxMistakesNamed = 10;
constexpr std::string_view kBlanks = " \t\r";

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<ops::v1::RevokedKind> KindOf(std::string_view word) {
  if (word == "session") return ops::v1::REVOKED_KIND_SESSION;
  if (word == "sub") return ops::v1::REVOKED_KIND_SUBJECT;
  if (word == "jti") return ops::v1::REVOKED_KIND_TOKEN_ID;
  return std::nullopt;
}

// The words are never printed: a token may have been pasted in the place of its id.
base::StatusOr<ops::v1::Revocable> ParseLine(std::string_view line) {
  constexpr const char* kForms = "expected ID, session ID, sub ID or jti ID";
  const std::size_t gap = line.find_first_of(kBlanks);
  const std::string_view first = line.substr(0, gap);
  const bool has_kind = gap != std::string_view::npos;
  const std::string_view id = has_kind ? Trimmed(line.substr(gap)) : first;
  const auto kind = has_kind ? KindOf(first) : ops::v1::REVOKED_KIND_SESSION;
  if (!kind) {
    return MakeStatus(StatusCode::kInvalidArgument, fmt::format("{}: unknown kind", kForms));
  }
  if (!has_kind && KindOf(first)) {
    return MakeStatus(StatusCode::kInvalidArgument, fmt::format("{0}: no ID after {1}; a session "
                                                                "of that name is `session {1}`",
                                                                kForms, first));
  }
  // What no token can carry was not meant, and would be refused in the place of what was.
  if (!session::IsClaimText(id)) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("{}, an ID of 1 to {} visible ASCII characters without spaces, "
                                  "quotes, backslash or comma",
                                  kForms, session::kMaxClaimBytes));
  }
  ops::v1::Revocable what;
  what.set_kind(*kind);
  what.set_id(std::string(id));
  return what;
}

class Mistakes {
 public:
  explicit Mistakes(const std::string& name) : name_(name) {}
  void Add(int line, const base::Status& mistake) {
    if (++count_ > kMaxMistakesNamed) return;
    text_ += fmt::format("{}:{}: {}\n", name_, line, base::Message(mistake));
  }
  base::Status AsStatus() const {
    if (count_ == 0) return absl::OkStatus();
    const std::string more = count_ > kMaxMistakesNamed
                                 ? fmt::format("{} lines more; ", count_ - kMaxMistakesNamed)
                                 : "";
    return MakeStatus(StatusCode::kInvalidArgument, text_ + more + "nothing was sent");
  }

 private:
  const std::string& name_;
  int count_ = 0;
  std::string text_;
};

base::StatusOr<std::string> ReadAll(int fd, const std::string& name) {
  std::string text;
  char buffer[65536];
  while (true) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::ErrnoStatus(errno, name);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > kMaxFileBytes) {
      return MakeStatus(
          StatusCode::kInvalidArgument,
          fmt::format("{}: larger than {} bytes; nothing was sent: split it", name, kMaxFileBytes));
    }
  }
}

}  // namespace

base::StatusOr<std::vector<ops::v1::Revocable>> ParseRevocations(std::string_view text,
                                                                 const std::string& name) {
  std::vector<ops::v1::Revocable> all;
  std::set<std::pair<ops::v1::RevokedKind, std::string>> seen;
  Mistakes mistakes(name);
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.empty() || line.front() == '#') continue;
    base::StatusOr<ops::v1::Revocable> what = ParseLine(line);
    if (!what.ok()) {
      mistakes.Add(number, what.status());
    } else if (seen.emplace(what->kind(), what->id()).second) {
      all.push_back(*std::move(what));
    }
  }
  RETURN_IF_ERROR(mistakes.AsStatus());
  if (all.empty()) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("{}: names nothing; expected one ID a line", name));
  }
  if (all.size() > ops::kMaxAtOnce) {
    return MakeStatus(StatusCode::kInvalidArgument,
                      fmt::format("{}: names {} entries, more than the {} that go at once; nothing "
                                  "was sent: split it",
                                  name, all.size(), ops::kMaxAtOnce));
  }
  return all;
}

base::StatusOr<std::vector<ops::v1::Revocable>> ReadRevocations(const std::string& file) {
  if (file == "-") {
    ASSIGN_OR_RETURN(const std::string text, ReadAll(STDIN_FILENO, "standard input"));
    return ParseRevocations(text, "standard input");
  }
  const base::UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return base::ErrnoStatus(errno, file);
  ASSIGN_OR_RETURN(const std::string text, ReadAll(fd.get(), file));
  return ParseRevocations(text, file);
}

}  // namespace exeat::cli
