// What guardian and control say to each other, and its bytes on their socket pair.
//
// Why here:   pure, so every malformed form is a unit test; link.h moves the bytes.
// Format:     one SOCK_SEQPACKET record a message: a version byte, a kind byte, then the fields in
//             order: integers little-endian, strings and lists behind a 32-bit count, an end of a
//             connection as 4 or 6, that version's address, and the port.
// Errors:     kInvalidArgument for another version, an unknown kind, a field that is cut short, a
//             count past its bound, or bytes left over. The reader treats each as a broken link.
// Never:      tokens, keys or credentials: Envoy gets those over its own socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/socket_id.h"
#include "base/status.h"

namespace exeat::guardian {

inline constexpr std::size_t kMaxLinkMessageBytes = 65536;
inline constexpr std::size_t kMaxSocketsPerCut = 1024;

// How Envoy is started. Two equal commands of one control are the same Envoy: it is told the
// process that is there.
struct EnvoyCommand {
  std::string binary;
  std::vector<std::string> argv;         // argv[0] included
  std::vector<std::string> environment;  // NAME=value; nothing is inherited
  // Envoy's working directory and the only place that it may write to.
  std::string run_directory;
  std::uint32_t uid = 0;  // 0: the guardian's default; a root guardian's Envoy is never root
  std::uint32_t gid = 0;  // likewise

  bool operator==(const EnvoyCommand&) const = default;
};

// Control to guardian.
struct Beat {
  std::int64_t sent_at_ns = 0;  // CLOCK_BOOTTIME when sent: a record that lay unread proves nothing
  bool operator==(const Beat&) const = default;
};
struct StartEnvoy {
  EnvoyCommand command;
  bool operator==(const StartEnvoy&) const = default;
};
struct StopEnvoy {
  bool operator==(const StopEnvoy&) const = default;
};
struct Ready {
  std::string line;  // for standard output, without the newline
  bool operator==(const Ready&) const = default;
};
struct Drained {
  bool operator==(const Drained&) const = default;
};
struct Fatal {
  std::int32_t exit_code = 1;
  std::string message;  // for standard error, whole and as it stands
  bool operator==(const Fatal&) const = default;
};
// Cut these connections of Envoy; answered by one SocketsCut of the same batch, unless control ends
// first. More sockets than kMaxSocketsPerCut take several messages.
struct CutSockets {
  std::uint64_t batch = 0;
  std::vector<base::SocketId> sockets;
  bool operator==(const CutSockets&) const = default;
};
using ToGuardian = std::variant<Beat, StartEnvoy, StopEnvoy, Ready, Drained, Fatal, CutSockets>;

// Guardian to control.

// Bits of EnvoyStarted::cut_means.
inline constexpr std::uint32_t kCutsByDestroy = 1;     // SOCK_DESTROY: a connection is aborted
inline constexpr std::uint32_t kCutsByDescriptor = 2;  // pidfd_getfd: aborted, and seen closed

struct EnvoyStarted {
  std::int32_t pid = 0;
  std::string confinement;  // what keeps Envoy from the state, for people
  // How its connections can be cut, tried out on this very Envoy: "SOCK_DESTROY and pidfd_getfd",
  // one of the two, or "none: " and why. Without pidfd_getfd every socket is reported open.
  std::string cutting;
  std::uint32_t cut_means = 0;
  bool operator==(const EnvoyStarted&) const = default;
};
struct EnvoyExited {
  std::int32_t wait_status = 0;  // as of waitpid(2)
  bool operator==(const EnvoyExited&) const = default;
};
struct EnvoyFailed {
  std::string message;  // why it could not be started; the guardian tries again by itself
  bool operator==(const EnvoyFailed&) const = default;
};
struct Drain {
  bool operator==(const Drain&) const = default;
};
struct Reload {
  bool operator==(const Reload&) const = default;
};
// Every cookie of the CutSockets is in one of the two lists. Closed: Envoy has let go of it. Open:
// there is no evidence of that, although it may have been aborted.
struct SocketsCut {
  std::uint64_t batch = 0;
  std::vector<std::uint64_t> closed;
  std::vector<std::uint64_t> open;
  std::int64_t took_us = 0;  // from the message's arrival to the last evidence
  bool operator==(const SocketsCut&) const = default;
};
using ToControl = std::variant<EnvoyStarted, EnvoyExited, EnvoyFailed, Drain, Reload, SocketsCut>;

// kInvalidArgument when the message or a list in it is too large for the other side to take.
base::StatusOr<std::string> Encode(const ToGuardian& message);
base::StatusOr<std::string> Encode(const ToControl& message);

base::StatusOr<ToGuardian> DecodeToGuardian(std::string_view record);
base::StatusOr<ToControl> DecodeToControl(std::string_view record);

}  // namespace exeat::guardian
