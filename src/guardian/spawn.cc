#include "guardian/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

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

// Everything that the child needs, built before fork.
struct Prepared {
  const char* path;
  char* const* argv;
  char* const* environment;
  int inherited_fd;
  const Confinement* confinement;
  int null_fd;
  int report_fd;
  pid_t guardian;
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& one : strings) out.push_back(const_cast<char*>(one.c_str()));
  out.push_back(nullptr);
  return out;
}

bool DefaultSignals() noexcept {
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    signal(signal_number, SIG_DFL);  // fails for SIGKILL and SIGSTOP, which need it not
  }
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

// Async-signal-safe only: no memory, no locks, no messages.
ChildFailure BecomeChild(const Prepared& plan) noexcept {
  const auto failed = [](ChildStep step) { return ChildFailure{step, errno}; };
  if (!DefaultSignals() || setsid() < 0) return failed(ChildStep::kSession);
  if (dup2(plan.null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return failed(ChildStep::kStandardFiles);
  }
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return failed(ChildStep::kCloseFiles);
  }
  if (plan.inherited_fd >= 0 && fcntl(plan.inherited_fd, F_SETFD, 0) != 0) {
    return failed(ChildStep::kCloseFiles);
  }
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return failed(ChildStep::kCoreLimit);
  if (plan.confinement != nullptr) {
    if (const auto failure = plan.confinement->Apply()) return *failure;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed(ChildStep::kNoNewPrivileges);
  // Last, since a change of uid clears it; then the guardian may have ended already.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != plan.guardian) {
    return failed(ChildStep::kDeathSignal);
  }
  execve(plan.path, plan.argv, plan.environment);
  if (errno == EACCES && plan.confinement != nullptr) {
    // The uid may execute the file but not walk to it: by the descriptor opened beforehand.
    syscall(SYS_execveat, plan.confinement->binary_fd(), "", plan.argv, plan.environment,
            AT_EMPTY_PATH);
  }
  return failed(ChildStep::kExec);
}

[[noreturn]] void RunChild(const Prepared& plan) noexcept {
  const ChildFailure failure = BecomeChild(plan);
  [[maybe_unused]] const ssize_t wrote = write(plan.report_fd, &failure, sizeof(failure));
  _exit(127);
}

Status WaitForExec(int report_fd, const std::string& path, std::chrono::milliseconds patience) {
  pollfd wait{report_fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&wait, 1, static_cast<int>(patience.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) {
    return MakeStatus(StatusCode::kDeadlineExceeded,
                      fmt::format("{}: not started within {} ms", path, patience.count()));
  }
  ChildFailure failure;
  const ssize_t got = read(report_fd, &failure, sizeof(failure));
  if (got == 0) return absl::OkStatus();  // exec closed it
  if (got != sizeof(failure)) return ErrnoStatus(errno, path);
  return MakeStatus(
      StatusCode::kUnavailable,
      fmt::format("{}: {}", path,
                  base::Message(ErrnoStatus(failure.error_number, Describe(failure.step)))));
}

}  // namespace

StatusOr<pid_t> Spawn(const ChildPlan& plan, std::chrono::milliseconds patience) {
  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> environment = Pointers(plan.environment);
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return ErrnoStatus(errno, "/dev/null");
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  UniqueFd report(pipe_ends[0]);
  UniqueFd child_report(pipe_ends[1]);

  const Prepared prepared{plan.path.c_str(), argv.data(), environment.data(), plan.inherited_fd,
                          plan.confinement,  null.get(),  child_report.get(), getpid()};
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) RunChild(prepared);
  child_report.Reset();
  const Status started = WaitForExec(report.get(), plan.path, patience);
  if (!started.ok()) {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return started;
  }
  return pid;
}

}  // namespace exeat::guardian
