// A DNS server on a free UDP port of 127.0.0.1 that answers what a test tells it to.
//
// Threads:  one of its own; methods are safe concurrently.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "policy/ip_address.h"

namespace exeat::resolver {

class TinyDnsServer {
 public:
  enum class Mode { kAnswer, kNoSuchName, kServerFailure, kSilent, kGarbage };
  struct Zone {
    Mode mode = Mode::kAnswer;
    std::vector<std::string> addresses;  // A and AAAA by their text; none: an empty answer
    std::uint32_t ttl_s = 60;
    std::string cname;  // when set, the records belong to this name
    bool fail_ipv6 = false;
  };

  TinyDnsServer();
  ~TinyDnsServer();

  policy::SocketAddress address() const { return address_; }
  void Set(const std::string& name, Zone zone);
  // Waits until at least this many queries for the name (of any type) have been seen.
  bool AwaitQueries(const std::string& name, int count);
  int Queries(const std::string& name) const;

 private:
  void Run(const std::stop_token& stop);
  // Empty: no answer is sent.
  std::string Reply(const std::string& query);

  base::UniqueFd socket_;
  policy::SocketAddress address_;
  mutable base::Mutex mutex_;
  base::CondVar seen_;
  std::map<std::string, Zone> zones_ GUARDED_BY(mutex_);
  std::map<std::string, int> queries_ GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace exeat::resolver
