// P2's client and P13's bystanders: requests over TLS in tunnels that are kept open.
//
//   tunnel_load PROXY-ADDRESS:PORT HOST:PORT CONNECTIONS TOKEN-FILE
//
// Opens CONNECTIONS tunnels with a CONNECT each and TLS in them, prints "ready", and answers each
// line on standard input:
//   once            one request on each: "served"
//   load SECONDS    each asks as soon as it was answered: requests, and requests a second
//   pace RATE SECONDS   requests begin at a fixed rate, whatever the answers do: requests, and
//                   median and 99th percentile in microseconds from when a request was due
//   ended           waits until each has been reset: 99th percentile and last of the times at which
//                   that was seen, in nanoseconds of CLOCK_MONOTONIC
// Every answer is a whole 200; anything else ends the program.
#include <curl/curl.h>
#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/timing.h"
#include "fmt/format.h"

namespace exeat::bench {
namespace {

// Guests of their own: a name of a connection is its guest's address and port.
constexpr char kSource[] = "127.0.0.2";

struct Plan {
  std::string proxy, target, token;
};

class Tunnel {
 public:
  explicit Tunnel(const Plan& plan)
      : easy_(curl_easy_init()),
        authorization_(
            curl_slist_append(nullptr, ("proxy-authorization: Bearer " + plan.token).c_str())),
        request_(fmt::format("GET /v1/items/4711 HTTP/1.1\r\nhost: {}\r\n\r\n", plan.target)) {
    CURL* handle = easy_.get();
    curl_easy_setopt(handle, CURLOPT_URL, ("https://" + plan.target).c_str());
    curl_easy_setopt(handle, CURLOPT_PROXY, ("http://" + plan.proxy).c_str());
    curl_easy_setopt(handle, CURLOPT_PROXYHEADER, authorization_.get());
    curl_easy_setopt(handle, CURLOPT_INTERFACE, kSource);
    curl_easy_setopt(handle, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    // The client's own cost in both arms alike: what is measured is the server's side.
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(handle, CURLOPT_CONNECT_ONLY, 1L);
    const CURLcode opened = curl_easy_perform(handle);
    Must(opened == CURLE_OK, curl_easy_strerror(opened));
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &socket);
    fd_ = socket;
  }

  int fd() const { return fd_; }
  Nanoseconds due() const { return due_; }

  void Ask(Nanoseconds due) {
    due_ = due;
    asking_ = true;
    received_.clear();
    std::size_t sent = 0;
    const CURLcode code = curl_easy_send(easy_.get(), request_.data(), request_.size(), &sent);
    Must(code == CURLE_OK && sent == request_.size(), "a request was not taken");
  }

  // Whether the answer is whole now.
  bool Take() {
    char bytes[16384];
    while (true) {
      std::size_t got = 0;
      const CURLcode code = curl_easy_recv(easy_.get(), bytes, sizeof(bytes), &got);
      if (code == CURLE_AGAIN) break;
      Must(code == CURLE_OK && got > 0, "a connection has ended");
      received_.append(bytes, got);
    }
    const std::size_t head = received_.find(kHeadEnd);
    if (head == std::string::npos) return false;
    Must(received_.starts_with("HTTP/1.1 200 "), received_);
    const std::size_t length = received_.find(kLength);
    if (length < head) {
      const char* digits = received_.c_str() + length + kLength.size();
      asking_ = received_.size() < head + kHeadEnd.size() + std::strtoull(digits, nullptr, 10);
    } else {
      Must(received_.find("transfer-encoding: chunked") < head, received_);
      asking_ = !received_.ends_with("\r\n0\r\n\r\n");
    }
    return !asking_;
  }

 private:
  static constexpr std::string_view kHeadEnd = "\r\n\r\n";
  static constexpr std::string_view kLength = "content-length: ";

  struct EasyEnd {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct ListEnd {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  std::unique_ptr<CURL, EasyEnd> easy_;
  std::unique_ptr<curl_slist, ListEnd> authorization_;
  std::string request_;
  std::string received_;
  int fd_ = -1;
  Nanoseconds due_ = 0;
  bool asking_ = false;
};

class Load {
 public:
  Load(const Plan& plan, int connections) {
    for (int i = 0; i < connections; ++i) tunnels_.push_back(std::make_unique<Tunnel>(plan));
    for (const auto& tunnel : tunnels_) waiting_.push_back({tunnel->fd(), POLLIN, 0});
  }

  void Once() {
    std::size_t next = 0;
    for (std::size_t asking = 0; next < tunnels_.size() || asking > 0;) {
      for (; asking < kAtOnce && next < tunnels_.size(); ++asking) tunnels_[next++]->Ask(0);
      Await(kPatienceMs * kPerMs, [&](Tunnel&) { --asking; });
    }
  }

  std::string Closed(double seconds) {
    const Nanoseconds began = Now();
    const Nanoseconds end = began + AsNanoseconds(seconds);
    std::uint64_t answered = 0;
    for (const auto& tunnel : tunnels_) tunnel->Ask(began);
    for (std::size_t asking = tunnels_.size(); asking > 0;) {
      Await(kPatienceMs * kPerMs, [&](Tunnel& tunnel) {
        ++answered;
        if (Now() < end) return tunnel.Ask(0);
        --asking;
      });
    }
    const double took = static_cast<double>(Now() - began) * 1e-9;
    return fmt::format("{} {:.1f}", answered, static_cast<double>(answered) / took);
  }

  std::string Paced(double rate, double seconds) {
    const Nanoseconds gap = AsNanoseconds(1 / rate);
    const Nanoseconds end = Now() + AsNanoseconds(seconds);
    Nanoseconds due = Now();
    Times times;
    std::deque<Tunnel*> idle;
    for (const auto& tunnel : tunnels_) idle.push_back(tunnel.get());
    while (due < end || idle.size() < tunnels_.size()) {
      for (const Nanoseconds now = Now(); due <= now && due < end && !idle.empty(); due += gap) {
        idle.front()->Ask(due);
        idle.pop_front();
      }
      const bool more = due < end && !idle.empty();
      Await(more ? std::max<Nanoseconds>(0, due - Now()) : kPatienceMs * kPerMs,
            [&](Tunnel& tunnel) {
              times.Add(Now() - tunnel.due());
              idle.push_back(&tunnel);
            });
    }
    return fmt::format("{} {} {}", times.size(), times.MicrosecondsAt(0.5),
                       times.MicrosecondsAt(0.99));
  }

  std::string Ended() {
    std::vector<Nanoseconds> ends;
    while (ends.size() < waiting_.size()) {
      Must(poll(waiting_.data(), waiting_.size(), kPatienceMs) > 0, "a tunnel does not end");
      const Nanoseconds now = Now();
      for (pollfd& tunnel : waiting_) {
        if (tunnel.revents == 0) continue;
        Must((tunnel.revents & POLLERR) != 0, "a tunnel ends in order");
        tunnel.fd = -1;
        ends.push_back(now);
      }
    }
    const double place = 0.99 * static_cast<double>(ends.size() - 1);
    return fmt::format("{} {}", ends.at(static_cast<std::size_t>(place)), ends.back());
  }

 private:
  static constexpr std::size_t kAtOnce = 16;
  static constexpr int kPatienceMs = 20'000;
  static constexpr Nanoseconds kPerMs = 1'000'000;
  static constexpr Nanoseconds kPerSecond = 1'000'000'000;

  static Nanoseconds AsNanoseconds(double seconds) {
    return static_cast<Nanoseconds>(seconds * 1e9);
  }

  template <class Answered>
  void Await(Nanoseconds longest, Answered answered) {
    const timespec timeout{longest / kPerSecond, longest % kPerSecond};
    const int ready = ppoll(waiting_.data(), waiting_.size(), &timeout, nullptr);
    Must(ready > 0 || longest < kPatienceMs * kPerMs, "no answer");
    for (std::size_t i = 0; ready > 0 && i < waiting_.size(); ++i) {
      if (waiting_[i].revents == 0) continue;
      if (tunnels_[i]->Take()) answered(*tunnels_[i]);
    }
  }

  std::vector<std::unique_ptr<Tunnel>> tunnels_;
  std::vector<pollfd> waiting_;
};

std::string Obey(Load& load, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  double first = 0;
  double second = 0;
  words >> command >> first >> second;
  if (command == "load") return load.Closed(first);
  if (command == "pace") return load.Paced(first, second);
  if (command == "ended") return load.Ended();
  if (command != "once") return "unknown: " + line;
  load.Once();
  return "served";
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s PROXY-ADDRESS:PORT HOST:PORT CONNECTIONS TOKEN-FILE\n",
                 argv[0]);
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  exeat::bench::Plan plan{argv[1], argv[2], {}};
  std::ifstream(argv[4]) >> plan.token;
  exeat::bench::Load load(plan, std::atoi(argv[3]));
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", exeat::bench::Obey(load, line));
    std::fflush(stdout);
  }
  return 0;
}
