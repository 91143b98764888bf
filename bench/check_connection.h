// A connection to ext_authz with one call at a time, in some microseconds of its own: a gRPC client
// costs more than the answer does, and what is measured with it is the client.
//
// Shapes:   HTTP/2 as far as gRPC's server needs it: one stream after another, headers never
//           compressed, windows given back as they are used. Headers of answers are not read: a
//           message is an answer, and a stream that ends without one is an error.
// Errors:   end the program: its figures would mean nothing.
// Threads:  one.
// Source:   RFC 9113, RFC 7541 6.2
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "bench/timing.h"

namespace exeat::bench {

class CheckConnection {
 public:
  explicit CheckConnection(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    Must(path.size() < sizeof(address.sun_path), path + ": too long");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Must(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
         path + ": cannot connect");
    Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""));
  }

  int fd() const { return fd_.get(); }

  // Begins a call with this serialized request; the one before must have been answered.
  void Call(std::string_view request) {
    stream_ += 2;
    message_.clear();
    Write(Frame(kHeaders, kEndHeaders, stream_, Headers()) +
          Frame(kData, kEndStream, stream_,
                std::string(1, '\0') + Number(request.size(), 4) + std::string(request)));
  }

  // The serialized answer, once it is whole. Call it when the descriptor can be read.
  std::optional<std::string> Take() {
    char bytes[16384];
    const ssize_t got = recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    Must(got > 0, "ext_authz has closed the connection");
    received_.append(bytes, static_cast<std::size_t>(got));
    std::optional<std::string> answer;
    while (received_.size() >= kFrameHeader) {
      const std::size_t size = NumberAt(0, 3);
      if (received_.size() < kFrameHeader + size) break;
      Take(received_[3], received_[4], received_.substr(kFrameHeader, size), answer);
      received_.erase(0, kFrameHeader + size);
    }
    return answer;
  }

 private:
  static constexpr std::size_t kFrameHeader = 9;
  static constexpr std::size_t kMessageHeader = 5;
  static constexpr char kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7,
                        kWindow = 8;
  static constexpr char kAcknowledge = 1, kEndStream = 1, kEndHeaders = 4;

  static std::string Number(std::size_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
      text += static_cast<char>((value >> shift) & 0xff);
    }
    return text;
  }
  std::size_t NumberAt(std::size_t place, std::size_t bytes) const {
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value = value << 8 | static_cast<unsigned char>(received_[place + i]);
    }
    return value;
  }
  static std::string Frame(char type, char flags, std::size_t stream, const std::string& payload) {
    return Number(payload.size(), 3) + type + flags + Number(stream, 4) + payload;
  }
  static std::string Text(std::string_view text) {
    return static_cast<char>(text.size()) + std::string(text);
  }
  // POST, http, a path and an authority by their names in the static table; then two by their own.
  static const std::string& Headers() {
    static const std::string kBlock =
        "\x83\x86\x04" + Text("/envoy.service.auth.v3.Authorization/Check") + "\x01" +
        Text("localhost") + std::string(1, '\0') + Text("content-type") + Text("application/grpc") +
        std::string(1, '\0') + Text("te") + Text("trailers");
    return kBlock;
  }

  void Write(const std::string& bytes) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    Must(sent == static_cast<ssize_t>(bytes.size()), "ext_authz does not take a call");
  }

  void Take(char type, char flags, const std::string& payload, std::optional<std::string>& answer) {
    Must(type != kReset && type != kGoAway, "ext_authz has ended the call");
    const bool acknowledged = (flags & kAcknowledge) != 0;
    if (type == kSettings && !acknowledged) Write(Frame(kSettings, kAcknowledge, 0, ""));
    if (type == kPing && !acknowledged) Write(Frame(kPing, kAcknowledge, 0, payload));
    if (type == kData) {
      message_ += payload;
      if (!payload.empty()) Write(Frame(kWindow, 0, 0, Number(payload.size(), 4)));
    }
    if (type != kHeaders || (flags & kEndStream) == 0) return;
    Must(message_.size() >= kMessageHeader, "ext_authz has refused the call itself");
    answer = message_.substr(kMessageHeader);
  }

  base::UniqueFd fd_;
  std::size_t stream_ = static_cast<std::size_t>(-1);
  std::string received_, message_;
};

}  // namespace exeat::bench
