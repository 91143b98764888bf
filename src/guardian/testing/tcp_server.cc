#include "guardian/testing/tcp_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "fmt/format.h"
#include "guardian/confine.h"
#include "guardian/spawn.h"
#include "guardian/testing/stand_in.h"

namespace exeat::guardian {
namespace {

constexpr int kPatienceMs = 10000;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address MakeAddress(const std::string& ip, std::uint16_t port) {
  Address out;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    out.size = sizeof(v4);
    std::memcpy(&out.storage, &v4, sizeof(v4));
  } else {
    inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    out.size = sizeof(v6);
    std::memcpy(&out.storage, &v6, sizeof(v6));
  }
  return out;
}

class Server {
 public:
  explicit Server(int report_fd) : report_(report_fd), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

  // 0: no such address here.
  std::uint16_t Listen(const std::string& ip) {
    Address address = MakeAddress(ip, 0);
    base::UniqueFd fd(
        socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int off = 0;
    if (address.storage.ss_family == AF_INET6) {
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd.get(), address.get(), address.size) != 0 || listen(fd.get(), 1024) != 0) return 0;
    Watch(fd.get(), EPOLLIN, EPOLL_CTL_ADD);
    const auto end = LocalEnd(fd.get());
    listeners_.push_back(std::move(fd));
    return end.ok() ? end->port : std::uint16_t{0};
  }
  void Say(const std::string& line) const {
    [[maybe_unused]] const ssize_t wrote = write(report_, line.data(), line.size());
  }
  [[noreturn]] void Serve() {
    while (true) {
      std::array<epoll_event, 64> ready{};
      const int count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; ++i) Handle(ready[i].data.fd, ready[i].events);
    }
  }

 private:
  struct Connection {
    Ask ask = Ask::kEcho;
    bool asked = false;
    std::size_t sent = 0;
  };

  void Watch(int fd, std::uint32_t events, int operation) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }
  void Handle(int fd, std::uint32_t events) {
    const auto found = connections_.find(fd);
    if (found == connections_.end()) {
      const int taken = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (taken < 0) return;
      connections_[taken] = {};
      Watch(taken, EPOLLIN, EPOLL_CTL_ADD);
      return;
    }
    Connection& one = found->second;
    if (!one.asked) {
      Begin(fd, one);
    } else if (one.ask == Ask::kHalfClosed ? (events & EPOLLRDHUP) != 0
                                           : (events & (EPOLLERR | EPOLLHUP)) != 0) {
      Close(fd);
    } else if (one.ask == Ask::kFlood) {
      Flood(fd, one);
    } else if (one.ask == Ask::kEcho) {
      Echo(fd);
    }
  }
  void Begin(int fd, Connection& one) {
    char byte = 0;
    if (recv(fd, &byte, 1, 0) != 1) {
      Close(fd);
      return;
    }
    one.asked = true;
    one.ask = static_cast<Ask>(byte);
    if (one.ask == Ask::kDeaf) Watch(fd, 0, EPOLL_CTL_DEL);
    if (one.ask == Ask::kFlood) Watch(fd, EPOLLOUT | EPOLLET, EPOLL_CTL_MOD);
    if (one.ask == Ask::kHalfClosed) Watch(fd, EPOLLRDHUP | EPOLLET, EPOLL_CTL_MOD);
    send(fd, &byte, 1, MSG_NOSIGNAL);
    if (one.ask == Ask::kClose) Close(fd);
  }
  void Echo(int fd) {
    std::array<char, 64> bytes{};
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      Close(fd);
    } else {
      send(fd, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
    }
  }
  void Flood(int fd, Connection& one) const {
    const std::string bytes(std::size_t{64} * 1024, 'x');
    ssize_t sent = 0;
    while ((sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL)) > 0) {
      one.sent += static_cast<std::size_t>(sent);
    }
    Say(fmt::format("full {}\n", one.sent));
  }
  // As Envoy's libevent: whoever duplicated the descriptor may keep the file behind it alive for a
  // moment, and its events would come under a number that is another connection's by then.
  void Close(int fd) {
    Watch(fd, 0, EPOLL_CTL_DEL);
    connections_.erase(fd);
    close(fd);
  }

  int report_;
  base::UniqueFd epoll_;
  std::vector<base::UniqueFd> listeners_;
  std::map<int, Connection> connections_;
};

}  // namespace

int RunTcpServer(int report_fd, int ballast) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::vector<base::UniqueFd> held;
  for (int i = 0; i < ballast; ++i) held.emplace_back(dup(STDIN_FILENO));
  if (ballast > 0 && !held.back().valid()) return 65;
  if (report_fd < 0) report_fd = open(kServerReport, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  Server server(report_fd);
  const std::uint16_t v4 = server.Listen("127.0.0.1");
  server.Say(fmt::format("ports {} {}\n", v4, server.Listen("::")));
  server.Serve();
}

TcpServer::TcpServer(int ballast) {
  const std::string run = directory_ / "run";
  if (!PrepareRunDirectory(run, kEnvoyUid, kEnvoyUid).ok()) abort();
  ConfinementRequest request;
  request.binary = OwnExecutable();
  request.run_directory = run;
  request.allow_unconfined = true;
  const auto confinement = Confinement::Prepare(request);
  std::array<int, 2> ends{};
  if (!confinement.ok() || pipe2(ends.data(), O_CLOEXEC) != 0) abort();
  report_.Reset(ends[0]);
  const base::UniqueFd child_end(ends[1]);
  ChildPlan plan;
  plan.path = request.binary;
  plan.argv = {"server", "--stand-in=tcp-server", std::to_string(child_end.get()),
               std::to_string(ballast)};
  plan.inherited_fd = child_end.get();
  plan.confinement = &*confinement;
  const auto pid = Spawn(plan, std::chrono::milliseconds(kPatienceMs));
  if (!pid.ok()) abort();
  pid_ = *pid;
  if (sscanf(Line().c_str(), "ports %hu %hu", &v4_port_, &dual_stack_port_) != 2) abort();
}

void TcpServer::Signal(int signal) const { kill(pid_, signal); }

void TcpServer::Stop() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string TcpServer::Line() {
  std::string line;
  pollfd wait{report_.get(), POLLIN, 0};
  char c = 0;
  while (poll(&wait, 1, kPatienceMs) == 1 && read(report_.get(), &c, 1) == 1 && c != '\n') {
    line += c;
  }
  return line;
}

std::size_t TcpServer::WaitFull() {
  // The last of several: each time that its guest took some more.
  std::size_t bytes = 0;
  pollfd more{report_.get(), POLLIN, 0};
  do {
    if (sscanf(Line().c_str(), "full %zu", &bytes) != 1) return 0;
  } while (poll(&more, 1, 100) == 1);
  return bytes;
}

Guest::Guest(const std::string& ip, std::uint16_t port, std::uint16_t source_port) {
  Address to = MakeAddress(ip, port);
  Address from = MakeAddress(ip, source_port);
  fd_.Reset(socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool placed = source_port == 0 || bind(fd_.get(), from.get(), from.size) == 0;
  if (!placed || connect(fd_.get(), to.get(), to.size) != 0) fd_.Reset();
}

bool Guest::Wait(short events) const {
  pollfd wait{fd_.get(), events, 0};
  return poll(&wait, 1, kPatienceMs) == 1;
}

bool Guest::Asks(Ask what) {
  char byte = static_cast<char>(what);
  if (send(fd_.get(), &byte, 1, MSG_NOSIGNAL) != 1) return false;
  byte = 0;
  return Wait(POLLIN) && recv(fd_.get(), &byte, 1, 0) == 1 && byte == static_cast<char>(what);
}

bool Guest::IsServed() { return Asks(Ask::kEcho); }

Guest::End Guest::ReadToEnd() {
  End end;
  std::vector<char> bytes(std::size_t{256} * 1024);
  while (Wait(POLLIN)) {
    const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      end.error_number = got == 0 ? 0 : errno;
      return end;
    }
    end.bytes += static_cast<std::size_t>(got);
  }
  return end;
}

std::size_t Guest::Read(std::size_t bytes) {
  std::vector<char> buffer(std::size_t{64} * 1024);
  std::size_t all = 0;
  while (all < bytes && Wait(POLLIN)) {
    const ssize_t got = recv(fd_.get(), buffer.data(), std::min(buffer.size(), bytes - all), 0);
    if (got <= 0) break;
    all += static_cast<std::size_t>(got);
  }
  return all;
}

std::size_t Guest::Readable() const {
  int bytes = 0;
  ioctl(fd_.get(), FIONREAD, &bytes);
  return static_cast<std::size_t>(bytes);
}

base::StatusOr<base::SocketId> Guest::Id(SocketTable& table) const {
  ASSIGN_OR_RETURN(const base::SocketEnd servers, RemoteEnd(fd_.get()));
  ASSIGN_OR_RETURN(const base::SocketEnd own, LocalEnd(fd_.get()));
  return table.FindSocket(servers, own);
}

std::uint16_t Guest::source_port() const {
  const auto own = LocalEnd(fd_.get());
  return own.ok() ? own->port : std::uint16_t{0};
}

void Guest::Reset() {
  const linger now{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd_.Reset();
}

}  // namespace exeat::guardian
