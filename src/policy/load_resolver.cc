#include <set>

#include "fmt/format.h"
#include "policy/host_name.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

std::string HostObjection(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  if (bracketed || IpAddress::Parse(text)) {
    return fmt::format(
        "{} is an address, not a host: destinations are names; resolver.hosts gives "
        "a name a fixed address",
        Quoted(text));
  }
  if (text.find("://") != std::string_view::npos) {
    return fmt::format("{} is a URL: write its host only", Quoted(text));
  }
  if (text.find(':') != std::string_view::npos) {
    return fmt::format("{} holds a port: write the host here and the port under ports",
                       Quoted(text));
  }
  return fmt::format(
      "{} is not a host name: letters, digits and '-' in labels of 1 to 63, at most "
      "253 in all, the last one not a number",
      Quoted(text));
}

void ReadUpstream(Reader& reader, const Located& at, Resolver& resolver) {
  const auto items = reader.FilledList(at, "remove the key if resolver.hosts names every host");
  if (!items) return;
  for (const Located& item : *items) {
    const auto text = reader.Text(item);
    if (!text) continue;
    const auto address = SocketAddress::Parse(*text);
    if (address && address->port != 0) {
      resolver.upstream.push_back(*address);
      continue;
    }
    if (const auto bare = IpAddress::Parse(*text)) {
      reader.Add(item,
                 fmt::format("lacks its port: write \"{}\"", SocketAddress{*bare, 53}.ToString()));
    } else {
      reader.Add(item, fmt::format("{} is not IP:PORT of a name server, like 192.0.2.53:53",
                                   Quoted(*text)));
    }
  }
}

std::vector<IpAddress> ReadAnswers(Reader& reader, const Located& at) {
  std::vector<IpAddress> answers;
  const auto items = reader.FilledList(at, "list the addresses of this host");
  if (!items) return answers;
  for (const Located& item : *items) {
    const auto text = reader.Text(item);
    if (!text) continue;
    if (const auto ip = IpAddress::Parse(*text)) {
      answers.push_back(*ip);
    } else {
      reader.Add(item, fmt::format("{} is not an IP address, like 192.0.2.7", Quoted(*text)));
    }
  }
  return answers;
}

void ReadFixedHosts(Reader& reader, const Located& at, Resolver& resolver) {
  if (!reader.OpenMap(at)) return;
  const std::vector<Located> entries = reader.Entries(at);
  std::set<std::string> written(at.node->keys.begin(), at.node->keys.end());
  const bool repeated = written.size() != at.node->keys.size();  // reported by OpenMap
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto host = ReadHostKey(reader, entries[i], at.node->keys[i]);
    auto answers = ReadAnswers(reader, entries[i]);
    if (!host) continue;
    if (!resolver.hosts.emplace(*host, std::move(answers)).second && !repeated) {
      reader.Add(entries[i], fmt::format("is {} once more in another spelling: keep one", *host));
    }
  }
}

// What is wrong with text that is no CIDR range.
std::string CidrObjection(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash != std::string_view::npos) {
    const auto address = IpAddress::Parse(text.substr(0, slash));
    const auto length = Cidr::Parse(fmt::format("::/{}", text.substr(slash + 1)));
    const auto meant =
        address && length ? Cidr::Around(*address, length->prefix_length()) : std::nullopt;
    if (meant) {
      return fmt::format("{} has bits set after its prefix; {} was probably meant", Quoted(text),
                         meant->ToString());
    }
  }
  return fmt::format("{} is not a CIDR range, like 10.1.2.0/24 or 192.0.2.7", Quoted(text));
}

void ReadAllowPrivate(Reader& reader, const Located& at, Resolver& resolver) {
  const auto items = reader.List(at);
  if (!items) return;
  for (const Located& item : *items) {
    const auto text = reader.Text(item);
    if (!text) continue;
    const auto range = Cidr::Parse(*text);
    if (!range) {
      reader.Add(item, CidrObjection(*text));
    } else if (range->prefix_length() == 0) {
      reader.Add(item, "would open every address: name the ranges that are meant");
    } else {
      resolver.allow_private.push_back(*range);
    }
  }
}

}  // namespace

std::optional<std::string> ReadHostKey(Reader& reader, const Located& at, std::string_view text) {
  if (text.starts_with("*.")) {
    reader.AddNotYet(at, "wildcard hosts; list the hosts one by one");
    return std::nullopt;
  }
  auto host = NormaliseHost(text);
  if (!host) reader.Add(at, HostObjection(text));
  return host;
}

std::optional<std::string> ReadHost(Reader& reader, const Located& at) {
  const auto text = reader.Text(at);
  if (!text) return std::nullopt;
  return ReadHostKey(reader, at, *text);
}

void ReadResolver(Reader& reader, const Located& root, Draft& draft) {
  const auto at = reader.Get(root, "resolver");
  if (!at || !reader.Map(*at, "resolver")) return;
  Resolver& resolver = draft.policy.resolver;
  if (const auto upstream = reader.Get(*at, "upstream")) {
    ReadUpstream(reader, *upstream, resolver);
  }
  if (const auto hosts = reader.Get(*at, "hosts")) ReadFixedHosts(reader, *hosts, resolver);
  if (const auto ranges = reader.Get(*at, "allow_private")) {
    ReadAllowPrivate(reader, *ranges, resolver);
  }
}

}  // namespace exeat::policy
