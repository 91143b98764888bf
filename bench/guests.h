// Guests that ask a running edge's control without end whether they may go on: each a connection to
// its listener that a revoke can cut, and a connection of its own to ext_authz.
//
// Shapes:   one thread for all of them; each asks again about `kPause` after its last answer, and
// at
//           once when the acknowledgement was read.
// Units:    times are nanoseconds of CLOCK_MONOTONIC; 0 is never.
// Errors:   end the program: its figures would mean nothing.
// Threads:  one round at a time; Acknowledged may be told from any thread.
// Source:   docs/benchmarks.md, P11
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "bench/check_connection.h"
#include "bench/check_request.h"
#include "bench/timing.h"

namespace exeat::bench {

class Guests {
 public:
  static constexpr Nanoseconds kPause = 2'000'000;
  static constexpr Nanoseconds kPatience = 20'000'000'000;

  struct Seen {
    Nanoseconds last_allow = 0;    // when its answer was read
    std::uint64_t begun_late = 0;  // allows that were asked for after the acknowledgement was read
  };

  // `asked` says which host and listener; each guest fills in its own connection.
  Guests(const std::string& control_socket, Asked asked, int count) : asked_(std::move(asked)) {
    for (int i = 0; i < count; ++i) guests_.push_back(Guest(control_socket));
  }
  ~Guests() { Finish(); }

  // Returns when they have asked for a while, each allowed whatever it asked.
  void Begin(const std::string& sid, const std::string& token) {
    asked_.sid = sid;
    asked_.token = token;
    seen_ = {};
    acknowledged_ = 0;
    warm_ = false;
    for (Guest& guest : guests_) Open(guest);
    asking_ = std::jthread([this] { Ask(); });
    const Nanoseconds deadline = Now() + kPatience;
    while (!warm_) {
      Must(Now() < deadline, "the guests are not allowed");
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    std::this_thread::sleep_for(std::chrono::nanoseconds(2 * Pause()));
  }
  void Acknowledged(Nanoseconds when) { acknowledged_ = when; }
  // Returns when each has asked after the acknowledgement and was refused because of the revoke.
  Seen Finish() {
    if (asking_.joinable()) asking_.join();
    return seen_;
  }

 private:
  struct Guest {
    explicit Guest(const std::string& control_socket) : control(control_socket) {}
    CheckConnection control;
    base::UniqueFd connection;
    CheckRequest connect, request;
    Nanoseconds begun = 0, due = 0;
    bool in_flight = false, in_tunnel = false, warm = false, refused = false;
  };

  // Uneven, so that the guests do not fall into step.
  Nanoseconds Pause() { return std::uniform_int_distribution(kPause / 2, kPause * 3 / 2)(random_); }

  void Open(Guest& guest) {
    sockaddr_in listener{};
    listener.sin_family = AF_INET;
    listener.sin_port = htons(asked_.listener_port);
    listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    guest.connection = base::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Must(connect(guest.connection.get(), reinterpret_cast<const sockaddr*>(&listener),
                 sizeof(listener)) == 0,
         "cannot connect to the listener");
    sockaddr_in own{};
    socklen_t size = sizeof(own);
    getsockname(guest.connection.get(), reinterpret_cast<sockaddr*>(&own), &size);
    asked_.guest_address = "127.0.0.1";
    asked_.guest_port = ntohs(own.sin_port);
    guest.connect = ConnectRequest(asked_);
    guest.request = TunnelRequest(asked_);
    guest.due = 0;
    guest.in_tunnel = guest.warm = guest.refused = false;
  }

  void Ask(Guest& guest) {
    CheckRequest& request = guest.in_tunnel ? guest.request : guest.connect;
    SetHeader(request, "x-request-id",
              fmt::format("{:08x}-6e3b-4c59-9d0f-0c8a6f6f3b21", ++request_id_));
    guest.in_flight = true;
    guest.begun = Now();
    guest.control.Call(request.SerializeAsString());
  }

  void Answered(Guest& guest, const std::string& answer) {
    const Nanoseconds now = Now();
    const Nanoseconds acknowledged = acknowledged_;
    const bool late = acknowledged != 0 && guest.begun > acknowledged;
    guest.in_flight = false;
    guest.due = guest.in_tunnel ? now + Pause() : now;
    CheckResponse response;
    Must(response.ParseFromString(answer), "an answer is no CheckResponse");
    if (response.has_ok_response() && response.status().code() == 0) {
      seen_.begun_late += late ? 1 : 0;
      seen_.last_allow = now;
      guest.warm = guest.in_tunnel;
      guest.in_tunnel = true;
      return;
    }
    // One that was being judged while its connection was cut is refused for that.
    const std::string& said = response.denied_response().body();
    const bool for_the_revoke = said.find("session_revoked") != std::string::npos;
    Must(guest.warm && (for_the_revoke || !late), "refused: " + said);
    guest.refused = late;
  }

  bool All(bool Guest::* state) const {
    return std::all_of(guests_.begin(), guests_.end(),
                       [state](const Guest& guest) { return guest.*state; });
  }

  void Ask() {
    const Nanoseconds deadline = Now() + kPatience;
    while (!All(&Guest::refused)) {
      const Nanoseconds now = Now();
      Must(now < deadline, "a guest was not refused after the acknowledgement");
      const bool hurry = acknowledged_ != 0;
      Nanoseconds next = now + kPause;
      for (Guest& guest : guests_) {
        if (guest.in_flight || guest.refused) continue;
        if (guest.due <= now || hurry) {
          Ask(guest);
        } else {
          next = std::min(next, guest.due);
        }
      }
      TakeAnswers(std::max<Nanoseconds>(0, next - Now()));
      if (!warm_) warm_ = All(&Guest::warm);
    }
  }

  void TakeAnswers(Nanoseconds longest) {
    std::vector<pollfd> waiting;
    for (const Guest& guest : guests_) waiting.push_back({guest.control.fd(), POLLIN, 0});
    const timespec timeout{0, static_cast<long>(longest)};
    if (ppoll(waiting.data(), waiting.size(), &timeout, nullptr) <= 0) return;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      const auto answer = guests_[i].control.Take();
      if (answer.has_value()) Answered(guests_[i], *answer);
    }
  }

  Asked asked_;
  std::uint32_t request_id_ = 0;
  std::minstd_rand random_;
  std::vector<Guest> guests_;
  Seen seen_;
  std::atomic<Nanoseconds> acknowledged_{0};
  std::atomic<bool> warm_{false};
  std::jthread asking_;
};

}  // namespace exeat::bench
