#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "policy/host_name.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

// The value that a mistake about destination `index` points to.
Located FieldOf(const Reader& reader, const Draft& draft, std::size_t index,
                std::string_view field) {
  const Located& at = draft.destinations[index];
  return reader.Get(at, field).value_or(at);
}

std::string NamesOf(const std::vector<Credential>& credentials) {
  std::string names;
  for (const Credential& credential : credentials) {
    if (credential.name.empty() || names.size() > 200) continue;
    names += (names.empty() ? "" : ", ") + credential.name;
  }
  return names.empty() ? "credentials is empty" : "there are: " + names;
}

void CheckCredentialHosts(Reader& reader, const Draft& draft, std::size_t index,
                          const Credential& credential) {
  const Destination& destination = draft.policy.destinations[index];
  const auto& hosts = credential.hosts;
  if (hosts.empty()) return;  // written badly, which has its own mistake
  if (std::find(hosts.begin(), hosts.end(), destination.host) != hosts.end()) return;
  reader.Add(FieldOf(reader, draft, index, "credential"),
             fmt::format("credential {} lists its hosts and {} is not one of them: add it to "
                         "credentials[].hosts if the secret may go there",
                         credential.name, destination.host));
}

// One secret, one owner: without `hosts` it may go to one registrable domain only.
void CheckCredentials(Reader& reader, const Draft& draft) {
  std::map<std::string, std::size_t> credentials;
  for (std::size_t i = 0; i < draft.policy.credentials.size(); ++i) {
    credentials.emplace(draft.policy.credentials[i].name, i);
  }
  std::map<std::string, std::size_t> first_user;  // by credential: the first destination
  for (std::size_t i = 0; i < draft.policy.destinations.size(); ++i) {
    const Destination& destination = draft.policy.destinations[i];
    if (destination.credential.empty()) continue;
    const auto found = credentials.find(destination.credential);
    if (found == credentials.end()) {
      reader.Add(FieldOf(reader, draft, i, "credential"),
                 fmt::format("no credential is named {}; {}", destination.credential,
                             NamesOf(draft.policy.credentials)));
      continue;
    }
    if (destination.host.empty()) continue;
    const Located& credential_at = draft.credentials[found->second];
    if (reader.Get(credential_at, "hosts")) {
      CheckCredentialHosts(reader, draft, i, draft.policy.credentials[found->second]);
      continue;
    }
    const auto [first, inserted] = first_user.emplace(destination.credential, i);
    if (inserted) continue;
    const Destination& other = draft.policy.destinations[first->second];
    if (RegistrableDomain(other.host) == RegistrableDomain(destination.host)) continue;
    reader.Add(FieldOf(reader, draft, i, "credential"),
               fmt::format("credential {} would go to two domains, {} (destination {}, line {}) "
                           "and {} (destination {}): if it may, list both under its hosts on "
                           "line {}",
                           destination.credential, other.host, other.name, other.line,
                           destination.host, destination.name, credential_at.line()));
  }
}

// Of those for one host and port the first that a session's grants open serves it: one behind a
// destination that is open to the same sessions would never be reached.
void CheckReachable(Reader& reader, const Draft& draft, std::size_t index,
                    const std::vector<std::size_t>& before, std::uint16_t port) {
  const auto& destinations = draft.policy.destinations;
  const Destination& destination = destinations[index];
  for (const std::size_t earlier : before) {
    const Destination& other = destinations[earlier];
    if (!other.grant.empty() && other.grant != destination.grant) continue;
    const std::string whose =
        other.grant.empty() ? "any session" : "every session that holds " + other.grant;
    return reader.Add(
        FieldOf(reader, draft, index, "host"),
        fmt::format("{}:{} is served for {} by {} on line {}, which comes first: give them "
                    "different grants, and the one without a grant the last place",
                    destination.host, port, whose, other.name, other.line));
  }
}

// A tunnel is vetted for a host and port, not for what a session may do there.
void CheckAskedOften(Reader& reader, const Draft& draft, const std::vector<std::size_t>& sharing) {
  for (const std::size_t index : sharing) {
    if (draft.policy.destinations[index].authorize != Authorize::kConnection) continue;
    reader.Add(FieldOf(reader, draft, index, "authorize"),
               "connection cannot be said where the session's grants tell which of several "
               "destinations serves a host: write request, or leave the key out");
  }
}

void CheckSharedHosts(Reader& reader, const Draft& draft) {
  std::map<std::pair<std::string_view, std::uint16_t>, std::vector<std::size_t>> owners;
  for (std::size_t i = 0; i < draft.policy.destinations.size(); ++i) {
    const Destination& destination = draft.policy.destinations[i];
    if (destination.host.empty()) continue;
    for (const std::uint16_t port : destination.ports) {
      owners[{destination.host, port}].push_back(i);
    }
  }
  for (const auto& [place, sharing] : owners) {
    if (sharing.size() == 1) continue;
    for (std::size_t nth = 1; nth < sharing.size(); ++nth) {
      const std::vector<std::size_t> before(sharing.begin(),
                                            sharing.begin() + static_cast<std::ptrdiff_t>(nth));
      CheckReachable(reader, draft, sharing[nth], before, place.second);
    }
    CheckAskedOften(reader, draft, sharing);
  }
}

void CheckResolvable(Reader& reader, const Located& root, const Draft& draft) {
  const auto resolver = reader.Get(root, "resolver");
  // An upstream that was written, if badly, has its own mistake.
  if (resolver && reader.Get(*resolver, "upstream")) return;
  for (std::size_t i = 0; i < draft.policy.destinations.size(); ++i) {
    const std::string& host = draft.policy.destinations[i].host;
    if (host.empty() || draft.policy.resolver.hosts.contains(host)) continue;
    reader.Add(FieldOf(reader, draft, i, "host"),
               fmt::format("nothing resolves {}: name a server in resolver.upstream, or its "
                           "addresses in resolver.hosts",
                           host));
  }
}

// Only a tunnel carries the answer to the requests in it.
void CheckTunnels(Reader& reader, const Draft& draft) {
  if (draft.policy.listeners.proxy) return;
  for (std::size_t i = 0; i < draft.policy.destinations.size(); ++i) {
    if (draft.policy.destinations[i].authorize != Authorize::kConnection) continue;
    reader.Add(FieldOf(reader, draft, i, "authorize"),
               "connection asks once a CONNECT tunnel, and listeners.proxy is off: give it an "
               "IP:PORT, or write request");
  }
}

}  // namespace

void CheckCoherence(Reader& reader, const Located& root, const Draft& draft) {
  CheckCredentials(reader, draft);
  CheckSharedHosts(reader, draft);
  CheckResolvable(reader, root, draft);
  CheckTunnels(reader, draft);
}

}  // namespace exeat::policy
