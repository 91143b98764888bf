#include "policy/policy.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace exeat::policy {
namespace {

auto Compared(const Credential& c) {
  return std::tie(c.name, c.kind, c.header, c.username, c.file, c.key_file, c.service, c.region,
                  c.hosts);
}
auto Compared(const ImportedCa& ca) { return std::tie(ca.certificate, ca.key); }
auto Compared(const Destination& d) {
  return std::tie(d.name, d.host, d.ports, d.credential, d.grant, d.allow, d.limits, d.authorize);
}

template <typename Entry>
const Entry* Found(const std::unordered_map<std::string_view, const Entry*>& entries,
                   std::string_view name) {
  const auto found = entries.find(name);
  return found == entries.end() ? nullptr : found->second;
}

template <typename Entry>
const Entry* FirstNamed(const std::vector<Entry>& entries, std::string_view name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

bool Credential::operator==(const Credential& other) const {
  return Compared(*this) == Compared(other);
}

bool ImportedCa::operator==(const ImportedCa& other) const {
  return Compared(*this) == Compared(other);
}

bool SharedStore::operator==(const SharedStore& other) const {
  return url == other.url && password_file == other.password_file;
}

bool Destination::operator==(const Destination& other) const {
  return Compared(*this) == Compared(other);
}

bool Destination::Serves(std::uint16_t port) const {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

bool Destination::IsOpenTo(const std::vector<std::string>& grants) const {
  return grant.empty() || std::find(grants.begin(), grants.end(), grant) != grants.end();
}

Directory& Directory::operator=(const Directory&) {
  filled_ = false;
  hosts_.clear();
  destinations_.clear();
  credentials_.clear();
  return *this;
}

// Of two that claim one name the first counts, as in a search.
void Directory::Fill(const Policy& policy) {
  for (const Destination& destination : policy.destinations) {
    hosts_[destination.host].push_back(&destination);
    destinations_.emplace(destination.name, &destination);
  }
  for (const Credential& credential : policy.credentials) {
    credentials_.emplace(credential.name, &credential);
  }
  filled_ = true;
}

template <typename Visit>
void Directory::Each(const Policy& policy, std::string_view host, const Visit& visit) const {
  if (filled_) {
    const auto found = hosts_.find(host);
    if (found == hosts_.end()) return;
    for (const Destination* destination : found->second) {
      if (visit(*destination)) return;
    }
    return;
  }
  for (const Destination& destination : policy.destinations) {
    if (destination.host == host && visit(destination)) return;
  }
}

const Destination* Policy::Find(std::string_view host, std::uint16_t port) const {
  const Destination* found = nullptr;
  directory.Each(*this, host, [&](const Destination& destination) {
    if (destination.Serves(port)) found = &destination;
    return found != nullptr;
  });
  return found;
}

const Destination* Policy::FindFor(std::string_view host, std::uint16_t port,
                                   const std::vector<std::string>& grants) const {
  const Destination* first = nullptr;
  const Destination* open = nullptr;
  directory.Each(*this, host, [&](const Destination& destination) {
    if (!destination.Serves(port)) return false;
    if (first == nullptr) first = &destination;
    if (destination.IsOpenTo(grants)) open = &destination;
    return open != nullptr;
  });
  return open != nullptr ? open : first;
}

bool Policy::HasHost(std::string_view host) const {
  if (host.empty()) return false;
  if (directory.filled()) return directory.hosts_.contains(host);
  return std::any_of(destinations.begin(), destinations.end(),
                     [&](const Destination& d) { return d.host == host; });
}

std::vector<const Destination*> Policy::At(std::string_view host) const {
  std::vector<const Destination*> served;
  directory.Each(*this, host, [&](const Destination& destination) {
    served.push_back(&destination);
    return false;
  });
  return served;
}

std::vector<const Destination*> Policy::At(std::string_view host, std::uint16_t port) const {
  std::vector<const Destination*> served = At(host);
  std::erase_if(served,
                [port](const Destination* destination) { return !destination->Serves(port); });
  return served;
}

const Destination* Policy::FindDestination(std::string_view name) const {
  if (name.empty()) return nullptr;
  if (directory.filled()) return Found(directory.destinations_, name);
  return FirstNamed(destinations, name);
}

const Credential* Policy::FindCredential(std::string_view name) const {
  if (name.empty()) return nullptr;
  if (directory.filled()) return Found(directory.credentials_, name);
  return FirstNamed(credentials, name);
}

PolicyPtr Share(Policy policy) {
  auto shared = std::make_shared<Policy>(std::move(policy));
  shared->directory.Fill(*shared);
  return shared;
}

}  // namespace exeat::policy
