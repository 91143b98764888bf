#include "guardian/testing/stand_in.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/fd.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/harden.h"
#include "guardian/link.h"
#include "guardian/runner.h"
#include "guardian/supervisor.h"
#include "guardian/testing/tcp_server.h"

namespace exeat::guardian {
namespace {

class Reporter {
 public:
  explicit Reporter(const std::string& directory)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sun_family = AF_UNIX;
    const std::string path = directory + "/report.sock";
    path.copy(address_.sun_path, sizeof(address_.sun_path) - 1);
  }
  void Say(const std::string& line) const {
    sendto(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address_), sizeof(address_));
  }

 private:
  base::UniqueFd socket_;
  sockaddr_un address_{};
};

EnvoyCommand StandInEnvoy(const std::string& directory, const std::string& mode) {
  EnvoyCommand command;
  command.run_directory = directory + "/run";
  if (mode == "bad-run-dir") command.run_directory += "/absent";
  if (mode == "probe") {
    command.binary = OwnExecutable();
    command.argv = {"envoy", "--stand-in=envoy", directory + "/secret", std::to_string(getppid())};
  } else if (mode.starts_with("cut")) {
    command.binary = OwnExecutable();
    command.argv = {"envoy", "--stand-in=tcp-server", "-1", "0"};
  } else {
    command.binary = std::filesystem::canonical("/bin/sleep").string();
    command.argv = {"sleep", "1000"};
  }
  return command;
}

// Control's connections to the server that stands in for Envoy.
class Streams {
 public:
  explicit Streams(const std::string& directory)
      : report_(directory + "/run/" + kServerReport), table_(*SocketTable::Open()) {}

  CutSockets Open(Ask ask, int count) {
    const std::uint16_t port = Port();
    CutSockets cut{7, {}};
    bystander_.emplace("127.0.0.1", port);
    bystander_->Asks(Ask::kEcho);
    for (int i = 0; i < count; ++i) {
      Guest& guest = guests_.emplace_back("127.0.0.1", port);
      guest.Asks(ask);
      cut.sockets.push_back(*guest.Id(table_));
    }
    return cut;
  }
  std::string Outcome(const SocketsCut& cut) {
    int reset = 0;
    for (Guest& guest : guests_) reset += guest.IsReset() ? 1 : 0;
    return fmt::format("batch={} closed={} open={} reset={} bystander={}", cut.batch,
                       cut.closed.size(), cut.open.size(), reset, bystander_->IsServed());
  }

 private:
  std::uint16_t Port() const {
    std::uint16_t port = 0;
    std::string line;
    while (sscanf(line.c_str(), "ports %hu", &port) != 1) {
      std::ifstream file(report_);
      std::getline(file, line);
    }
    return port;
  }

  const std::string report_;
  SocketTable table_;
  std::optional<Guest> bystander_;
  std::vector<Guest> guests_;
};

void OnMessage(ControlLink& link, Streams& streams, const Reporter& reporter,
               const std::string& mode, const ToControl& message) {
  if (const auto* started = std::get_if<EnvoyStarted>(&message)) {
    reporter.Say(fmt::format("envoy-started {}", started->pid));
    (void)link.Send(Ready{fmt::format("ready control={} envoy={}", getpid(), started->pid)});
    reporter.Say("cutting " + started->cutting);
    if (mode == "cut") (void)link.Send(streams.Open(Ask::kEcho, 3));
    if (mode == "cut-deaf") (void)link.Send(streams.Open(Ask::kDeaf, 1));
    if (mode == "cut-deaf") reporter.Say("asked");
  } else if (const auto* exited = std::get_if<EnvoyExited>(&message)) {
    reporter.Say("envoy-exited " + DescribeEnd(exited->wait_status));
  } else if (const auto* failed = std::get_if<EnvoyFailed>(&message)) {
    reporter.Say("envoy-failed " + failed->message);
  } else if (const auto* cut = std::get_if<SocketsCut>(&message)) {
    reporter.Say("cut " + streams.Outcome(*cut));
  } else if (std::holds_alternative<Drain>(message)) {
    reporter.Say("drain");
    if (mode != "stubborn") (void)link.Send(Drained{});
  } else {
    reporter.Say("reload");
  }
}

[[noreturn]] void Wait() {
  while (true) pause();
}

bool FirstTime(const std::string& path) {
  return base::UniqueFd(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)).valid();
}

int ControlMain(int link_fd, const std::string& directory, const std::string& mode) {
  if (!HardenProcess().ok()) return 70;
  const Reporter reporter(directory);
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
  const bool own_session = getsid(0) == getpid();
  reporter.Say(fmt::format("control {} dumpable={} core={} own_session={} no_new_privs={}",
                           getpid(), prctl(PR_GET_DUMPABLE), core.rlim_max, own_session,
                           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
  if (mode == "garbage-once" && FirstTime(directory + "/garbage")) {
    send(link_fd, "garbage", 7, MSG_NOSIGNAL);
    Wait();
  }
  if (mode == "stubborn") signal(SIGTERM, SIG_IGN);
  auto link = ControlLink::Adopt(link_fd);
  if (!link.ok()) return 71;
  if (mode == "fatal") {
    (void)(*link)->Send(Fatal{2, "exeat.yaml:3: unknown key `lisetners`"});
    _exit(2);
  }
  Streams streams(directory);
  BeatThread beats(**link, base::SystemClock(), [] { return true; });
  (*link)->Listen(
      [&](const ToControl& message) { OnMessage(**link, streams, reporter, mode, message); },
      [] { _exit(9); });
  (void)(*link)->Send(StartEnvoy{StandInEnvoy(directory, mode)});
  Wait();
}

int GuardianMain(const std::string& directory, const std::string& mode) {
  // A child that the guardian never heard of must not stay a zombie either.
  if (fork() == 0) _exit(0);
  GuardianOptions options;
  options.control_argv = [&](int link_fd) {
    return std::vector<std::string>{"control", "--stand-in=control", std::to_string(link_fd),
                                    directory, mode};
  };
  const int code = RunGuardian(options);
  // Without the destructors and leak checks of a process that may not be traced.
  _exit(code);
}

std::string ErrorOf(bool done) { return done ? "ok" : strerrorname_np(errno); }

std::string StatusField(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  }
  return "absent";
}

std::string OpenDescriptors() {
  std::string out;
  for (int fd = 0; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) out += fmt::format("{},", fd);
  }
  return out;
}

std::string TryOpen(const std::string& path, int mode) {
  return ErrorOf(base::UniqueFd(open(path.c_str(), mode | O_CLOEXEC, 0600)).valid());
}

}  // namespace

int RunProbe(const std::string& secret_path, pid_t guardian) {
  std::string out = fmt::format("fds={}\n", OpenDescriptors());
  out += fmt::format("uid={}\n", getuid());
  out += fmt::format("groups={}\n", getgroups(0, nullptr));
  out += fmt::format("capabilities={}\n", StatusField("CapPrm"));
  out += fmt::format("no_new_privs={}\n", StatusField("NoNewPrivs"));
  out += fmt::format("secret={}\n", TryOpen(secret_path, O_RDONLY));
  out += fmt::format("passwd={}\n", TryOpen("/etc/passwd", O_RDONLY));
  out += fmt::format("outside={}\n", TryOpen("/tmp/exeat-must-not-appear", O_CREAT | O_WRONLY));
  out += fmt::format("inside={}\n", TryOpen("mine", O_CREAT | O_RDWR));
  out += fmt::format("guardian_memory={}\n",
                     TryOpen(fmt::format("/proc/{}/environ", guardian), O_RDONLY));
  out += fmt::format("guardian_signal={}\n", ErrorOf(kill(guardian, 0) == 0));
  rlimit core{};
  getrlimit(RLIMIT_CORE, &core);
  out += fmt::format("core={}\nend\n", core.rlim_max);
  base::UniqueFd fifo(open("probe.fifo", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ssize_t wrote = write(fifo.get(), out.data(), out.size());
  return 0;
}

std::string OwnExecutable() { return std::filesystem::canonical("/proc/self/exe").string(); }

int RunStandIn(const std::vector<std::string>& argv) {
  const std::string role = argv.at(1).substr(std::string("--stand-in=").size());
  if (role == "guardian") return GuardianMain(argv.at(2), argv.at(3));
  if (role == "control") return ControlMain(std::stoi(argv.at(2)), argv.at(3), argv.at(4));
  if (role == "tcp-server") return RunTcpServer(std::stoi(argv.at(2)), std::stoi(argv.at(3)));
  if (role == "envoy") {
    RunProbe(argv.at(2), std::stoi(argv.at(3)));
    Wait();
  }
  return 64;
}

}  // namespace exeat::guardian

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (argc > 1 && arguments[1] == "--stand-in=hardened-tests") {
    if (!exeat::guardian::HardenProcess().ok()) return 70;
    ::testing::InitGoogleMock(&argc, argv);
    const int failed = RUN_ALL_TESTS();
    // Without the leak check of a process that may not be traced.
    std::fflush(nullptr);
    _exit(failed);
  }
  if (argc > 1 && arguments[1].starts_with("--stand-in=")) {
    return exeat::guardian::RunStandIn(arguments);
  }
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
