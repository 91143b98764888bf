// A guardian stand-in with its children, watched from outside.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "guardian/confine.h"
#include "guardian/testing/stand_in.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {

// A process that may be nobody's child by the time it ends.
class Watched {
 public:
  explicit Watched(pid_t pid) : pid_(pid), fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  pid_t pid() const { return pid_; }
  bool EndsWithin(std::chrono::milliseconds time) const {
    if (!fd_.valid()) return true;
    pollfd wait{fd_.get(), POLLIN, 0};
    return poll(&wait, 1, static_cast<int>(time.count())) == 1;
  }
  bool Alive() const { return !EndsWithin(std::chrono::milliseconds(0)); }
  void Signal(int signal) const { syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0); }

 private:
  pid_t pid_;
  base::UniqueFd fd_;
};

class EdgeUnderTest {
 public:
  explicit EdgeUnderTest(const std::string& mode) {
    PrepareDirectory();
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) abort();
    stdout_.Reset(ends[0]);
    base::UniqueFd child_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_end.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (directory_ / "stderr").c_str(),
                                     O_CREAT | O_WRONLY | O_APPEND, 0644);
    std::vector<std::string> argv = {"guardian", "--stand-in=guardian", directory_.path(), mode};
    std::vector<char*> pointers;
    for (std::string& one : argv) pointers.push_back(one.data());
    pointers.push_back(nullptr);
    if (posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, pointers.data(), environ) != 0) {
      abort();
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~EdgeUnderTest() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  EdgeUnderTest(const EdgeUnderTest&) = delete;
  EdgeUnderTest& operator=(const EdgeUnderTest&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const { kill(pid_, signal); }

  // The rest of the next report that begins with `word`; "" after ten seconds without it.
  std::string Report(const std::string& word) {
    const auto end = base::SystemClock().BootNow() + std::chrono::seconds(10);
    while (WaitReadable(report_.get(), end)) {
      std::array<char, 1024> buffer{};
      const ssize_t got = recv(report_.get(), buffer.data(), buffer.size(), 0);
      const std::string line(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (line == word) return "yes";
      if (line.starts_with(word + " ")) return line.substr(word.size() + 1);
    }
    return "";
  }
  // The next whole line on standard output; "" at its end or after ten seconds.
  std::string OutputLine() {
    const auto end = base::SystemClock().BootNow() + std::chrono::seconds(10);
    std::string line;
    while (WaitReadable(stdout_.get(), end)) {
      char c = 0;
      if (read(stdout_.get(), &c, 1) != 1) return "";
      if (c == '\n') return line;
      line += c;
    }
    return "";
  }
  // Control and Envoy out of the next ready line.
  std::optional<std::pair<pid_t, pid_t>> WaitReady() {
    const std::string line = OutputLine();
    int control = 0;
    int envoy = 0;
    if (sscanf(line.c_str(), "ready control=%d envoy=%d", &control, &envoy) != 2) return {};
    return std::pair(pid_t{control}, pid_t{envoy});
  }
  // The exit code, or 1000 and the signal; -1 when it has not ended in time.
  int WaitExit(std::chrono::milliseconds time) {
    if (!Watched(pid_).EndsWithin(time)) return -1;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  std::string Stderr() const { return Content(directory_ / "stderr"); }
  // What the probe wrote, line by line.
  std::set<std::string> ProbeLines() {
    const auto end = base::SystemClock().BootNow() + std::chrono::seconds(10);
    std::string all;
    while (all.find("\nend\n") == std::string::npos && WaitReadable(fifo_.get(), end)) {
      std::array<char, 4096> buffer{};
      const ssize_t got = read(fifo_.get(), buffer.data(), buffer.size());
      if (got > 0) all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    std::set<std::string> lines;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t next = all.find('\n', at);
      lines.insert(all.substr(at, next - at));
      at = next == std::string::npos ? all.size() : next + 1;
    }
    return lines;
  }

 private:
  void PrepareDirectory() {
    const std::string run = directory_ / "run";
    if (!PrepareRunDirectory(run, kEnvoyUid, kEnvoyUid).ok()) abort();
    const std::string fifo = run + "/probe.fifo";
    if (mkfifo(fifo.c_str(), 0666) != 0 || chmod(fifo.c_str(), 0666) != 0) abort();
    fifo_.Reset(open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    std::ofstream(directory_ / "secret") << "the key";
    chmod((directory_ / "secret").c_str(), 0644);
    report_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (directory_ / "report.sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (bind(report_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      abort();
    }
  }
  static bool WaitReadable(int fd, base::BootTime end) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - base::SystemClock().BootNow());
    pollfd wait{fd, POLLIN, 0};
    return left.count() > 0 && poll(&wait, 1, static_cast<int>(left.count())) == 1;
  }
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  TempDirectory directory_;
  base::UniqueFd report_;
  base::UniqueFd stdout_;
  base::UniqueFd fifo_;
  pid_t pid_ = -1;
};

}  // namespace exeat::guardian
