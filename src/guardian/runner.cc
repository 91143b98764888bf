#include "guardian/runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "guardian/cut_means.h"
#include "guardian/cutter_thread.h"
#include "guardian/harden.h"
#include "guardian/link.h"
#include "guardian/spawn.h"
#include "guardian/supervisor.h"

namespace exeat::guardian {
namespace {

using base::ErrnoStatus;
using base::Status;
using base::StatusOr;
using base::UniqueFd;

// With lease and tick it stays below the two seconds in which a silent control costs Envoy its
// life, should this very process wait for a slow disk.
constexpr std::chrono::milliseconds kExecPatience{800};

SupervisorOptions OptionsOf(const GuardianOptions& options) {
  SupervisorOptions out;
  out.lease = options.lease;
  out.control_patience = 2 * options.lease;
  out.drain_timeout = options.drain_timeout;
  return out;
}

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> out;
  for (char** one = environ; *one != nullptr; ++one) out.emplace_back(*one);
  return out;
}

// The watchdog must not wait for whoever reads its output (a stopped terminal, a full pipe): what
// cannot be written now is dropped.
bool Writable(int fd) {
  pollfd wait{fd, POLLOUT, 0};
  return poll(&wait, 1, 0) == 1 && (wait.revents & POLLOUT) != 0;
}

void Print(int fd, const std::string& text) {
  if (Writable(fd)) (void)base::WriteAll(fd, text + "\n", "output");
}

// So that no socket of ours ever becomes somebody's standard output.
Status OccupyStandardFiles() {
  while (true) {
    UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!fd.valid()) return ErrnoStatus(errno, "/dev/null");
    if (fd.get() > STDERR_FILENO) return absl::OkStatus();
    fcntl(fd.Release(), F_SETFD, 0);
  }
}

class Runner {
 public:
  explicit Runner(const GuardianOptions& options)
      : options_(options), supervisor_(OptionsOf(options)), environment_(OwnEnvironment()) {}

  Status SetUp();
  int Run();

 private:
  Status Watch(int fd);
  void TakeSignals();
  void ReadLink();
  void Reap();
  void SendCuts();
  void Deliver(Event event);

  void Do(const SpawnControl&);
  void Do(const SignalControl& action);
  void Do(const CloseLink&);
  void Do(const SpawnEnvoy& action);
  void Do(const SignalEnvoy& action);
  void Do(const CutEnvoySockets& action);
  void Do(const SendToControl& action);
  void Do(const PrintReady& action);
  void Do(const PrintError& action);
  void Do(const LogLine& action);
  void Do(const Exit& action);

  StatusOr<pid_t> StartControl();
  StatusOr<EnvoySpawned> StartEnvoyProcess(const EnvoyCommand& command);
  CutMeans AttachCutter(pid_t envoy);

  const GuardianOptions& options_;
  Supervisor supervisor_;
  const std::vector<std::string> environment_;
  UniqueFd epoll_;
  UniqueFd signals_;
  UniqueFd timer_;
  std::optional<GuardianLink> link_;
  std::unique_ptr<CutterThread> cutter_;
  std::deque<SocketsCut> cuts_;  // to be sent when control has room for them
  // A child is only signalled while unreaped, and only this thread reaps, so a pid cannot have
  // become somebody else's.
  pid_t control_pid_ = -1;
  pid_t envoy_pid_ = -1;
  std::deque<Event> follow_ups_;
  bool delivering_ = false;
  std::optional<int> exit_code_;
};

Status Runner::SetUp() {
  RETURN_IF_ERROR(OccupyStandardFiles());
  RETURN_IF_ERROR(HardenProcess());
  signal(SIGPIPE, SIG_IGN);
  sigset_t taken;
  sigemptyset(&taken);
  for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGTSTP}) sigaddset(&taken, one);
  if (const int error = pthread_sigmask(SIG_BLOCK, &taken, nullptr); error != 0) {
    return ErrnoStatus(error, "signal mask");
  }
  signals_.Reset(signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return ErrnoStatus(errno, "signalfd");
  timer_.Reset(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  const timespec tick{0, std::chrono::nanoseconds(kTickInterval).count()};
  const itimerspec every{tick, tick};
  if (!timer_.valid() || timerfd_settime(timer_.get(), 0, &every, nullptr) != 0) {
    return ErrnoStatus(errno, "timerfd");
  }
  epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return ErrnoStatus(errno, "epoll");
  ASSIGN_OR_RETURN(cutter_, CutterThread::Start());
  RETURN_IF_ERROR(Watch(signals_.get()));
  RETURN_IF_ERROR(Watch(cutter_->done_fd()));
  return Watch(timer_.get());
}

Status Runner::Watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return ErrnoStatus(errno, "epoll");
  return absl::OkStatus();
}

int Runner::Run() {
  while (!exit_code_) {
    // First what happened, then what time it is: see supervisor.h on silence.
    TakeSignals();
    ReadLink();
    Reap();
    SendCuts();
    Deliver(TimerTicked{});
    if (exit_code_) break;
    std::array<epoll_event, 8> ready{};
    epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    std::uint64_t ticks = 0;
    [[maybe_unused]] const ssize_t got = read(timer_.get(), &ticks, sizeof(ticks));
  }
  return *exit_code_;
}

void Runner::TakeSignals() {
  signalfd_siginfo one{};
  while (read(signals_.get(), &one, sizeof(one)) == sizeof(one)) {
    if (one.ssi_signo == SIGTERM || one.ssi_signo == SIGINT) Deliver(TerminateAsked{});
    if (one.ssi_signo == SIGHUP) Deliver(ReloadAsked{});
  }
}

void Runner::ReadLink() {
  while (link_) {
    StatusOr<std::optional<ToGuardian>> message = link_->Receive();
    if (!message.ok()) {
      Deliver(LinkBroken{base::Message(message.status())});
      // An end that control itself closed stays readable for ever.
      link_.reset();
      return;
    }
    if (!*message) return;
    Deliver(std::move(**message));
  }
}

void Runner::Reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == control_pid_) {
      ReadLink();  // its last words, a Fatal above all, come before its end
      control_pid_ = -1;
      Deliver(ControlEnded{status});
    } else if (pid == envoy_pid_) {
      envoy_pid_ = -1;
      Deliver(EnvoyEnded{status});
    }
  }
}

// Never as many as would fill the link: a control that reads slowly is not yet a broken one.
void Runner::SendCuts() {
  std::vector<SocketsCut> done = cutter_->TakeDone();
  std::move(done.begin(), done.end(), std::back_inserter(cuts_));
  while (link_ && !cuts_.empty() && Writable(link_->fd())) {
    Event answer = CutEnded{std::move(cuts_.front())};
    cuts_.pop_front();
    Deliver(std::move(answer));
  }
}

void Runner::Deliver(Event event) {
  follow_ups_.push_back(std::move(event));
  if (delivering_) return;
  delivering_ = true;
  while (!follow_ups_.empty()) {
    const Event next = std::move(follow_ups_.front());
    follow_ups_.pop_front();
    for (const Action& action : supervisor_.Handle(next, base::SystemClock().BootNow())) {
      std::visit([this](const auto& one) { Do(one); }, action);
    }
  }
  delivering_ = false;
}

void Runner::Do(const SpawnControl&) {
  const StatusOr<pid_t> pid = StartControl();
  if (pid.ok()) {
    control_pid_ = *pid;
  } else {
    link_.reset();
    Deliver(ControlNotSpawned{base::Message(pid.status())});
  }
}

StatusOr<pid_t> Runner::StartControl() {
  ASSIGN_OR_RETURN(GuardianLink::Pair pair, GuardianLink::Open());
  link_ = std::move(pair.guardian);
  RETURN_IF_ERROR(Watch(link_->fd()));
  ChildPlan plan;
  plan.path = "/proc/self/exe";
  plan.argv = options_.control_argv(pair.control.get());
  plan.environment = environment_;
  plan.inherited_fd = pair.control.get();
  return Spawn(plan, kExecPatience);
}

void Runner::Do(const SpawnEnvoy& action) {
  StatusOr<EnvoySpawned> spawned = StartEnvoyProcess(action.command);
  if (spawned.ok()) {
    envoy_pid_ = spawned->pid;
    Deliver(*std::move(spawned));
  } else {
    Deliver(EnvoyNotSpawned{base::Message(spawned.status())});
  }
}

StatusOr<EnvoySpawned> Runner::StartEnvoyProcess(const EnvoyCommand& command) {
  ConfinementRequest request;
  request.binary = command.binary;
  request.run_directory = command.run_directory;
  request.uid = command.uid != 0 ? command.uid : options_.envoy_uid;
  request.gid = command.gid != 0 ? command.gid : options_.envoy_gid;
  request.allow_unconfined = options_.allow_unconfined;
  ASSIGN_OR_RETURN(const Confinement confinement, Confinement::Prepare(request));
  ChildPlan plan;
  plan.path = command.binary;
  plan.argv = command.argv;
  plan.environment = command.environment;
  plan.confinement = &confinement;
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(plan, kExecPatience));
  const CutMeans means = AttachCutter(pid);
  return EnvoySpawned{pid, confinement.description(), means.description, means.bits};
}

CutMeans Runner::AttachCutter(pid_t envoy) {
  StatusOr<DescriptorTable> child = DescriptorTable::Open(envoy);
  StatusOr<SocketTable> sockets = SocketTable::Open();
  if (!sockets.ok()) return {0, "none: " + base::Message(sockets.status())};
  CutMeans means = TryCutMeans(child);
  std::optional<DescriptorTable> seen;
  if (child.ok()) seen = *std::move(child);
  cutter_->Attach(std::make_unique<Cutter>(std::move(seen), *std::move(sockets), means.bits));
  return means;
}

void Runner::Do(const SignalControl& action) {
  if (control_pid_ > 0) kill(control_pid_, action.signal);
}

void Runner::Do(const SignalEnvoy& action) {
  if (envoy_pid_ > 0) kill(envoy_pid_, action.signal);
}

void Runner::Do(const CloseLink&) {
  link_.reset();
  cutter_->Forget();
  cuts_.clear();
}

void Runner::Do(const CutEnvoySockets& action) { cutter_->Cut(action.request); }

void Runner::Do(const SendToControl& action) {
  if (!link_) return;
  const Status sent = link_->Send(action.message);
  if (!sent.ok()) Deliver(LinkBroken{base::Message(sent)});
}

void Runner::Do(const PrintReady& action) { Print(STDOUT_FILENO, action.line); }

void Runner::Do(const PrintError& action) { Print(STDERR_FILENO, action.message); }

void Runner::Do(const LogLine& action) {
  if (!Writable(STDERR_FILENO)) return;
  if (action.warning) {
    base::LogWarn(action.message, {{"detail", action.detail}});
  } else {
    base::LogInfo(action.message, {{"detail", action.detail}});
  }
}

void Runner::Do(const Exit& action) { exit_code_ = action.code; }

}  // namespace

int RunGuardian(const GuardianOptions& options) {
  Runner runner(options);
  const Status ready = runner.SetUp();
  if (!ready.ok()) {
    base::LogError("guardian cannot start", {{"error", base::Message(ready)}});
    return 1;
  }
  return runner.Run();
}

}  // namespace exeat::guardian
