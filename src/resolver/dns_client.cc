#include "resolver/dns_client.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace exeat::resolver {
namespace {

constexpr int kMaxRecords = 64;  // of one family; the rest of a longer answer is not used

// A lookup under way: two queries, one Answer.
struct BothFamilies {
  DnsClient::Done done;
  std::optional<Answer> v4;
  std::optional<Answer> v6;
};

struct Query {
  std::shared_ptr<BothFamilies> lookup;
  int family = AF_INET;
};

policy::IpAddress ToAddress(int family, const void* bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family, bytes, text, sizeof(text));
  return policy::IpAddress::Parse(text).value();
}

template <class Record, class Member>
Answer AnswerFrom(const std::array<Record, kMaxRecords>& records, int count, int family,
                  Member address) {
  if (count == 0) return {Answer::Outcome::kAbsent, {}, {}};
  Answer answer{Answer::Outcome::kAddresses, {}, kMaxTtl};
  for (int i = 0; i < count; ++i) {
    const Record& record = records[static_cast<std::size_t>(i)];
    answer.addresses.push_back(ToAddress(family, &(record.*address)));
    answer.ttl = std::min(answer.ttl, std::chrono::seconds(record.ttl));
  }
  return answer;
}

Answer ParseReply(int family, const unsigned char* reply, int length) {
  int count = kMaxRecords;
  int status = ARES_EBADRESP;
  Answer answer;
  if (family == AF_INET) {
    std::array<ares_addrttl, kMaxRecords> records{};
    status = ares_parse_a_reply(reply, length, nullptr, records.data(), &count);
    if (status == ARES_SUCCESS) {
      answer = AnswerFrom(records, count, family, &ares_addrttl::ipaddr);
    }
  } else {
    std::array<ares_addr6ttl, kMaxRecords> records{};
    status = ares_parse_aaaa_reply(reply, length, nullptr, records.data(), &count);
    if (status == ARES_SUCCESS) {
      answer = AnswerFrom(records, count, family, &ares_addr6ttl::ip6addr);
    }
  }
  if (status == ARES_ENODATA) answer.outcome = Answer::Outcome::kAbsent;
  return answer;
}

Answer AnswerOf(int status, int family, const unsigned char* reply, int length) {
  if (status == ARES_SUCCESS && reply) return ParseReply(family, reply, length);
  Answer answer;
  if (status == ARES_ENOTFOUND || status == ARES_ENODATA) {
    answer.outcome = Answer::Outcome::kAbsent;
  }
  return answer;
}

// One family that failed beside one that has addresses is not waited for; beside one that has none
// it leaves open whether the name has any.
Answer Combine(const Answer& v4, const Answer& v6) {
  using Outcome = Answer::Outcome;
  if (v4.outcome != Outcome::kAddresses && v6.outcome != Outcome::kAddresses) {
    const bool both = v4.outcome == Outcome::kAbsent && v6.outcome == Outcome::kAbsent;
    return {both ? Outcome::kAbsent : Outcome::kFailed, {}, {}};
  }
  Answer answer{Outcome::kAddresses, {}, kMaxTtl};
  for (const Answer* family : {&v4, &v6}) {
    if (family->outcome != Outcome::kAddresses) continue;
    answer.ttl = std::min(answer.ttl, family->ttl);
    answer.addresses.insert(answer.addresses.end(), family->addresses.begin(),
                            family->addresses.end());
  }
  return answer;
}

void OnReply(void* argument, int status, int /*timeouts*/, unsigned char* reply, int length) {
  const std::unique_ptr<Query> query(static_cast<Query*>(argument));
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  BothFamilies& lookup = *query->lookup;
  (query->family == AF_INET ? lookup.v4 : lookup.v6) =
      AnswerOf(status, query->family, reply, length);
  if (lookup.v4 && lookup.v6) lookup.done(Combine(*lookup.v4, *lookup.v6));
}

base::Status AresStatus(int status, std::string_view doing) {
  return base::MakeStatus(base::StatusCode::kUnavailable,
                          std::string(doing) + ": " + ares_strerror(status));
}

}  // namespace

base::StatusOr<std::unique_ptr<DnsClient>> DnsClient::Make(
    const std::vector<policy::SocketAddress>& servers, const LookupOptions& options) {
  std::unique_ptr<DnsClient> client(new DnsClient());
  std::string no_file = "/dev/null";
  std::string dns_only = "b";
  ares_options settings{};
  settings.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  settings.timeout = static_cast<int>(options.timeout.count());
  settings.tries = options.tries;
  settings.lookups = dns_only.data();
  settings.resolvconf_path = no_file.data();
  settings.sock_state_cb = &DnsClient::OnSocketState;
  settings.sock_state_cb_data = client.get();
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                   ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
  if (const int status = ares_init_options(&client->channel_, &settings, mask);
      status != ARES_SUCCESS) {
    client->channel_ = nullptr;
    return AresStatus(status, "starting the DNS client");
  }
  std::string list;
  for (const policy::SocketAddress& server : servers) {
    list += (list.empty() ? "" : ",") + server.ToString();
  }
  if (const int status = ares_set_servers_ports_csv(client->channel_, list.c_str());
      status != ARES_SUCCESS) {
    return AresStatus(status, "setting resolver.upstream");
  }
  return client;
}

DnsClient::~DnsClient() {
  if (channel_) ares_destroy(channel_);
}

void DnsClient::Lookup(const std::string& host, Done done) {
  auto lookup = std::make_shared<BothFamilies>();
  lookup->done = std::move(done);
  ares_query(channel_, host.c_str(), ns_c_in, ns_t_a, &OnReply, new Query{lookup, AF_INET});
  ares_query(channel_, host.c_str(), ns_c_in, ns_t_aaaa, &OnReply, new Query{lookup, AF_INET6});
}

void DnsClient::AppendTo(std::vector<pollfd>& fds) const {
  for (const auto& [fd, events] : sockets_) fds.push_back({fd, events, 0});
}

std::chrono::milliseconds DnsClient::Wait(std::chrono::milliseconds most) const {
  timeval next{};
  if (!ares_timeout(channel_, nullptr, &next)) return most;
  const auto wait = std::chrono::seconds(next.tv_sec) + std::chrono::microseconds(next.tv_usec);
  // Rounded up, or the last fraction would be spent in a busy loop.
  return std::min(most, std::chrono::ceil<std::chrono::milliseconds>(wait));
}

void DnsClient::Process(const std::vector<pollfd>& fds) {
  for (const pollfd& entry : fds) {
    if (entry.revents == 0 || !sockets_.contains(entry.fd)) continue;
    const bool readable = (entry.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
    const bool writable = (entry.revents & POLLOUT) != 0;
    ares_process_fd(channel_, readable ? entry.fd : ARES_SOCKET_BAD,
                    writable ? entry.fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void DnsClient::OnSocketState(void* self, ares_socket_t fd, int readable, int writable) {
  auto& sockets = static_cast<DnsClient*>(self)->sockets_;
  if (!readable && !writable) {
    sockets.erase(fd);
    return;
  }
  sockets[fd] = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
}

}  // namespace exeat::resolver
