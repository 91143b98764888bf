#include "guardian/envoy_binary.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "fmt/format.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;
using base::UniqueFd;

constexpr std::chrono::seconds kLongestAnswer{10};
constexpr std::size_t kMaxAnswerBytes = 4096;
constexpr std::size_t kMaxRefusalBytes = 1 << 20;  // it repeats the whole bootstrap
constexpr std::size_t kMaxWordsBytes = 400;
// How it says that it does not know an extension, or not even its type.
constexpr std::array<std::string_view, 2> kUnknown = {
    "Didn't find a registered implementation for '", "could not find @type 'type.googleapis.com/"};
constexpr std::string_view kRemedy = "run tools/fetch-envoy, or name one by --envoy or EXEAT_ENVOY";

Status NoBinary(StatusCode code, std::string_view path, std::string_view found) {
  return MakeStatus(
      code, fmt::format("{}: {}; wanted is Envoy {}: {}", path, found, kEnvoyVersion, kRemedy));
}

// A child that is killed and reaped when the caller is done with it.
class ShortChild {
 public:
  explicit ShortChild(pid_t pid) : pid_(pid) {}
  ShortChild(const ShortChild&) = delete;
  ShortChild& operator=(const ShortChild&) = delete;
  ~ShortChild() {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

 private:
  pid_t pid_;
};

// Starts it with one of its streams in a pipe and the other nowhere.
StatusOr<pid_t> Start(const std::string& path, std::vector<std::string> arguments, int answer,
                      int answer_fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (stream == answer) {
      posix_spawn_file_actions_adddup2(&actions, answer_fd, stream);
    } else {
      posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0);
    }
  }
  std::string program = path;
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::array<char*, 1> no_environment = {nullptr};
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), no_environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return NoBinary(StatusCode::kFailedPrecondition, path,
                    base::Message(ErrnoStatus(error, "cannot be run")));
  }
  return pid;
}

StatusOr<std::string> ReadAnswer(int fd, const std::string& path, std::size_t most) {
  const base::BootTime end = base::SystemClock().BootNow() + kLongestAnswer;
  std::string answer;
  while (answer.size() < most) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - base::SystemClock().BootNow());
    pollfd wait{fd, POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : poll(&wait, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return NoBinary(StatusCode::kDeadlineExceeded, path,
                      fmt::format("no answer within {} s", kLongestAnswer.count()));
    }
    std::array<char, 1024> buffer{};
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path);
    if (got == 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return answer;
}

StatusOr<std::string> Ask(const std::string& path, std::vector<std::string> arguments, int answer,
                          std::size_t most) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  UniqueFd answer_end(ends[0]);
  UniqueFd child_end(ends[1]);
  ASSIGN_OR_RETURN(const pid_t pid, Start(path, std::move(arguments), answer, child_end.get()));
  const ShortChild child(pid);
  child_end.Reset();
  return ReadAnswer(answer_end.get(), path, most);
}

// "...version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL" -> what follows "version: ".
std::string BuildIn(const std::string& answer) {
  constexpr std::string_view kBefore = "version: ";
  const std::size_t at = answer.find(kBefore);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + kBefore.size();
  return answer.substr(begin, answer.find_first_of(" \r\n", begin) - begin);
}

std::string SecondPart(const std::string& build) {
  const std::size_t begin = build.find('/');
  if (begin == std::string::npos) return "";
  return build.substr(begin + 1, build.find('/', begin + 1) - begin - 1);
}

StatusOr<std::string> Executable(const std::string& path, std::string_view named_by) {
  const std::string named = named_by.empty() ? path : fmt::format("{} ({})", path, named_by);
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  if (!real) {
    return NoBinary(errno == ENOENT ? StatusCode::kNotFound : StatusCode::kFailedPrecondition,
                    named, errno == ENOENT ? "no such file" : "cannot be reached");
  }
  struct stat info{};
  if (stat(real.get(), &info) != 0 || !S_ISREG(info.st_mode) || access(real.get(), X_OK) != 0) {
    return NoBinary(StatusCode::kFailedPrecondition, named, "not an executable file");
  }
  return std::string(real.get());
}

std::string FromEnvironment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

StatusOr<EnvoyIdentity> CheckEnvoyBinary(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string real, Executable(path, ""));
  ASSIGN_OR_RETURN(const std::string answer,
                   Ask(real, {"--version"}, STDOUT_FILENO, kMaxAnswerBytes));
  EnvoyIdentity identity{real, "", BuildIn(answer)};
  identity.version = SecondPart(identity.build);
  if (identity.version.empty()) {
    return NoBinary(StatusCode::kFailedPrecondition, real, "does not say that it is an Envoy");
  }
  if (identity.version != kEnvoyVersion) {
    return NoBinary(StatusCode::kFailedPrecondition, real,
                    fmt::format("is Envoy {}", identity.version));
  }
  return identity;
}

std::string BootstrapRefusal(const std::string& path, const std::string& bootstrap) {
  const auto said =
      Ask(path, {"--mode", "validate", "--log-level", "critical", "--config-yaml", bootstrap},
          STDERR_FILENO, kMaxRefusalBytes);
  if (!said.ok()) return "";
  for (const std::string_view unknown : kUnknown) {
    const std::size_t at = said->find(unknown);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + unknown.size();
    return "it has no " + said->substr(begin, said->find_first_of("'\n", begin) - begin);
  }
  const std::size_t end = said->find_last_not_of(" \n");
  if (end == std::string::npos) return "";
  const std::size_t before = said->rfind('\n', end);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return said->substr(begin, std::min(end + 1 - begin, kMaxWordsBytes));
}

StatusOr<std::string> FindEnvoy(const std::string& explicit_path) {
  if (!explicit_path.empty()) return Executable(explicit_path, "");
  if (const std::string named = FromEnvironment("EXEAT_ENVOY"); !named.empty()) {
    return Executable(named, "EXEAT_ENVOY");
  }
  std::string cache = FromEnvironment("XDG_CACHE_HOME");
  if (cache.empty() || cache[0] != '/') {
    const std::string home = FromEnvironment("HOME");
    if (home.empty()) {
      return MakeStatus(
          StatusCode::kNotFound,
          fmt::format("no Envoy: neither HOME nor XDG_CACHE_HOME is set; {}", kRemedy));
    }
    cache = home + "/.cache";
  }
  return Executable(fmt::format("{}/exeat/envoy-{}/envoy", cache, kEnvoyVersion), "the cache");
}

}  // namespace exeat::guardian
