// Asks the policy's DNS servers for A and AAAA records, and nobody else.
//
// Why here:   the only file that knows c-ares. Its search lists, host files, aliases, resolv.conf
//             and special treatment of localhost are all off: an answer can come only from a server
//             that the policy names.
// Errors:     kUnavailable c-ares cannot start or does not take the servers.
// Fail mode:  an answer that cannot be parsed is a failed one.
// Threads:    not safe; one thread owns it and drives it by poll(2). Done may be called from within
//             Lookup and Process; it is not called any more once the client is destroyed.
// Source:     docs/adr/0008-resolver.md
#pragma once

#include <ares.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/ip_address.h"
#include "resolver/name_state.h"
#include "resolver/resolver.h"

namespace exeat::resolver {

class DnsClient {
 public:
  using Done = std::function<void(const Answer&)>;

  static base::StatusOr<std::unique_ptr<DnsClient>> Make(
      const std::vector<policy::SocketAddress>& servers, const LookupOptions& options);
  ~DnsClient();
  DnsClient(const DnsClient&) = delete;
  DnsClient& operator=(const DnsClient&) = delete;

  // Asks for both families and answers once, when both have ended.
  void Lookup(const std::string& host, Done done);

  // Appends what to wait for.
  void AppendTo(std::vector<pollfd>& fds) const;
  // How long poll may wait, at most `most`.
  std::chrono::milliseconds Wait(std::chrono::milliseconds most) const;
  // Reads what poll reported and lets late tries time out. `fds` may hold others' as well.
  void Process(const std::vector<pollfd>& fds);

 private:
  DnsClient() = default;
  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable);

  ares_channel channel_ = nullptr;
  std::map<ares_socket_t, short> sockets_;
};

}  // namespace exeat::resolver
