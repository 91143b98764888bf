#include "resolver/testing/tiny_dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string_view>
#include <utility>

namespace exeat::resolver {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeCname = 5;
constexpr std::uint16_t kTypeAaaa = 28;

void Put16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

std::string EncodeName(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return out + '\0';
}

// The name that starts at the question and the bytes it takes.
std::string DecodeName(const std::string& message, std::size_t& at) {
  std::string name;
  while (at < message.size() && message[at] != 0) {
    const auto length = static_cast<std::size_t>(message[at]);
    if (!name.empty()) name += '.';
    name += message.substr(at + 1, length);
    at += length + 1;
  }
  ++at;
  return name;
}

std::string Record(std::string_view owner, std::uint16_t type, std::uint32_t ttl_s,
                   std::string_view content) {
  std::string out = EncodeName(owner);
  Put16(out, type);
  Put16(out, 1);
  Put16(out, ttl_s >> 16);
  Put16(out, ttl_s & 0xffff);
  Put16(out, static_cast<unsigned>(content.size()));
  return out += content;
}

}  // namespace

TinyDnsServer::TinyDnsServer() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(local);
  if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&local), length) != 0 ||
      getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    std::abort();
  }
  address_ = {*policy::IpAddress::Parse("127.0.0.1"), ntohs(local.sin_port)};
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

TinyDnsServer::~TinyDnsServer() {
  thread_.request_stop();
  shutdown(socket_.get(), SHUT_RDWR);  // wakes recvfrom
}

void TinyDnsServer::Set(const std::string& name, Zone zone) {
  base::MutexLock lock(mutex_);
  zones_[name] = std::move(zone);
}

bool TinyDnsServer::AwaitQueries(const std::string& name, int count) {
  base::MutexLock lock(mutex_);
  while (queries_[name] < count) {
    if (!seen_.WaitFor(mutex_, std::chrono::seconds(10))) return false;
  }
  return true;
}

int TinyDnsServer::Queries(const std::string& name) const {
  base::MutexLock lock(mutex_);
  const auto found = queries_.find(name);
  return found == queries_.end() ? 0 : found->second;
}

void TinyDnsServer::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::string query(1500, '\0');
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    const ssize_t got = recvfrom(socket_.get(), query.data(), query.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    if (got <= static_cast<ssize_t>(kHeaderBytes)) continue;
    query.resize(static_cast<std::size_t>(got));
    const std::string reply = Reply(query);
    if (reply.empty()) continue;
    sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
           length);
  }
}

std::string TinyDnsServer::Reply(const std::string& query) {
  std::size_t at = kHeaderBytes;
  const std::string name = DecodeName(query, at);
  const auto type = static_cast<std::uint16_t>(static_cast<unsigned char>(query.at(at)) * 256 +
                                               static_cast<unsigned char>(query.at(at + 1)));
  Zone zone{Mode::kNoSuchName, {}, 60, "", false};
  {
    base::MutexLock lock(mutex_);
    if (const auto found = zones_.find(name); found != zones_.end()) zone = found->second;
    ++queries_[name];
    seen_.NotifyAll();
  }
  if (zone.mode == Mode::kSilent) return {};
  if (zone.fail_ipv6 && type == kTypeAaaa) zone.mode = Mode::kServerFailure;

  std::string records;
  unsigned count = 0;
  const std::string owner = zone.cname.empty() ? name : zone.cname;
  if (zone.mode == Mode::kAnswer) {
    if (!zone.cname.empty()) {
      records += Record(name, kTypeCname, zone.ttl_s, EncodeName(zone.cname));
      ++count;
    }
    for (const std::string& text : zone.addresses) {
      const auto ip = *policy::IpAddress::Parse(text);
      if (ip.is_v4() != (type == kTypeA)) continue;
      const auto* bytes = reinterpret_cast<const char*>(ip.bytes().data());
      records += Record(owner, type, zone.ttl_s, {bytes, ip.is_v4() ? 4U : 16U});
      ++count;
    }
  }
  const unsigned code = zone.mode == Mode::kNoSuchName      ? 3
                        : zone.mode == Mode::kServerFailure ? 2
                                                            : 0;
  std::string reply = query.substr(0, 2);
  Put16(reply, 0x8180U | code);
  Put16(reply, 1);
  Put16(reply, zone.mode == Mode::kGarbage ? 9 : count);
  Put16(reply, 0);
  Put16(reply, 0);
  return reply + query.substr(kHeaderBytes, at + 4 - kHeaderBytes) + records;
}

}  // namespace exeat::resolver
