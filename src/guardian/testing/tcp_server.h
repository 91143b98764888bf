// A TCP server in a process of its own, confined as Envoy is, and its guests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/socket_id.h"
#include "guardian/socket_table.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {

// What a guest asks for with its first byte, which is sent back to it when it is in force.
enum class Ask : char {
  kEcho = 'e',        // what it sends comes back; closed when it ends or fails
  kFlood = 'f',       // as many bytes as it takes, like a stream of events
  kDeaf = 'd',        // never looked at again
  kHalfClosed = 'h',  // closed only when the kernel says that no more will be read
  kClose = 'c',       // closed
};

class TcpServer {
 public:
  // Holds `ballast` descriptors before any connection's.
  explicit TcpServer(int ballast = 0);
  ~TcpServer() { Stop(); }
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  pid_t pid() const { return pid_; }
  std::uint16_t v4_port() const { return v4_port_; }                  // on 127.0.0.1
  std::uint16_t dual_stack_port() const { return dual_stack_port_; }  // on [::], for IPv4 as well
  void Signal(int signal) const;
  void Stop();  // killed and reaped
  // How many bytes a flooded guest was sent when it would take no more.
  std::size_t WaitFull();

 private:
  std::string Line();

  TempDirectory directory_;
  pid_t pid_ = -1;
  base::UniqueFd report_;
  std::uint16_t v4_port_ = 0;
  std::uint16_t dual_stack_port_ = 0;
};

// In the server's process. A negative descriptor reports to the file `kServerReport` in its working
// directory instead.
inline constexpr char kServerReport[] = "server.report";
int RunTcpServer(int report_fd, int ballast);

class Guest {
 public:
  // To 127.0.0.1, ::1 or, by `ip`, another; from `source_port` unless it is 0.
  Guest(const std::string& ip, std::uint16_t port, std::uint16_t source_port = 0);

  bool connected() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // True when the server says that it is in force.
  bool Asks(Ask what);
  bool IsServed();  // for kEcho
  // Reads whatever there is until the end; how it ended, 0 for an orderly one, and how much it was.
  struct End {
    int error_number = -1;
    std::size_t bytes = 0;
  };
  End ReadToEnd();
  bool IsReset() { return ReadToEnd().error_number == ECONNRESET; }
  std::size_t Read(std::size_t bytes);
  std::size_t Readable() const;
  // The server's end of this connection, as the server sees it.
  base::StatusOr<base::SocketId> Id(SocketTable& table) const;
  std::uint16_t source_port() const;
  void Reset();  // ends by RST, so that the ends can be used again at once

 private:
  bool Wait(short events) const;
  base::UniqueFd fd_;
};

}  // namespace exeat::guardian
