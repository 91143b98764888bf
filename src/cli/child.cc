#include "cli/child.h"

#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

namespace exeat::cli {
namespace {

constexpr int kHandedOn[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Whether a name without a slash stands for any file. posix_spawnp says "permission denied" also
// when all that was denied is the search of some directory of PATH.
bool OnPath(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos) return !name.empty();
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (directory.empty()) directory = ".";
    if (access((directory + "/" + name).c_str(), F_OK) == 0) return true;
  }
  return false;
}

base::StatusOr<pid_t> Spawn(const SignalGate& gate, const std::vector<std::string>& command,
                            const std::vector<std::string>& environment) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const sigset_t mask = gate.ForChild();
  posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const std::vector<char*> argv = Pointers(command);
  const std::vector<char*> envp = Pointers(environment);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, command.front().c_str(), nullptr, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return pid;
  if (!OnPath(command.front())) {
    return base::MakeStatus(base::StatusCode::kNotFound,
                            command.front() + ": no such command on PATH");
  }
  return base::ErrnoStatus(error, command.front() + " cannot be started");
}

// A terminal sends its own signals to the whole foreground group: the child has had them already.
bool FromTerminal(const siginfo_t& signal) { return signal.si_code == SI_KERNEL; }

}  // namespace

SignalGate::SignalGate() {
  sigemptyset(&held_);
  for (const int signal : kHandedOn) sigaddset(&held_, signal);
  sigaddset(&held_, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &held_, &former_);
}

sigset_t SignalGate::ForChild() const {
  sigset_t mask = former_;
  for (const int signal : kHandedOn) sigdelset(&mask, signal);
  sigdelset(&mask, SIGCHLD);
  return mask;
}

SignalGate::~SignalGate() {
  // What came too late for the child must not end this process before it has cleaned up.
  const timespec at_once{};
  while (sigtimedwait(&held_, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

base::StatusOr<int> RunChild(const SignalGate& gate, const std::vector<std::string>& command,
                             const std::vector<std::string>& environment) {
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(gate, command, environment));
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (ended < 0 && errno != EINTR) return base::ErrnoStatus(errno, "waitpid");
    siginfo_t signal{};
    const int number = sigwaitinfo(&gate.held(), &signal);
    if (number > 0 && number != SIGCHLD && !FromTerminal(signal)) kill(pid, number);
  }
}

}  // namespace exeat::cli
