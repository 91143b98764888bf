#include <algorithm>
#include <map>
#include <utility>

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

void CheckOverlaps(Reader& reader, const Draft& draft) {
  std::map<std::pair<std::string_view, std::uint16_t>, std::size_t> first_owner;
  for (std::size_t i = 0; i < draft.policy.destinations.size(); ++i) {
    const Destination& destination = draft.policy.destinations[i];
    if (destination.host.empty()) continue;
    for (const std::uint16_t port : destination.ports) {
      const auto [first, inserted] =
          first_owner.emplace(std::pair(std::string_view(destination.host), port), i);
      if (inserted) continue;
      const Destination& other = draft.policy.destinations[first->second];
      reader.AddNotYet(FieldOf(reader, draft, i, "host"),
                       fmt::format("a second destination for {}:{}, beside {} on line {}",
                                   destination.host, port, other.name, other.line));
      break;
    }
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
  CheckOverlaps(reader, draft);
  CheckResolvable(reader, root, draft);
  CheckTunnels(reader, draft);
}

}  // namespace exeat::policy
