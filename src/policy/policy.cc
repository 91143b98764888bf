#include "policy/policy.h"

#include <algorithm>
#include <tuple>

namespace exeat::policy {
namespace {

auto Compared(const Credential& c) {
  return std::tie(c.name, c.kind, c.header, c.username, c.file, c.hosts);
}
auto Compared(const ImportedCa& ca) { return std::tie(ca.certificate, ca.key); }
auto Compared(const Destination& d) {
  return std::tie(d.name, d.host, d.ports, d.credential, d.grant, d.allow, d.limits);
}

}  // namespace

bool Credential::operator==(const Credential& other) const {
  return Compared(*this) == Compared(other);
}

bool ImportedCa::operator==(const ImportedCa& other) const {
  return Compared(*this) == Compared(other);
}

bool Destination::operator==(const Destination& other) const {
  return Compared(*this) == Compared(other);
}

const Destination* Policy::Find(std::string_view host, std::uint16_t port) const {
  for (const Destination& destination : destinations) {
    if (destination.host != host) continue;
    if (std::find(destination.ports.begin(), destination.ports.end(), port) !=
        destination.ports.end()) {
      return &destination;
    }
  }
  return nullptr;
}

bool Policy::HasHost(std::string_view host) const {
  if (host.empty()) return false;
  return std::any_of(destinations.begin(), destinations.end(),
                     [&](const Destination& d) { return d.host == host; });
}

const Credential* Policy::FindCredential(std::string_view name) const {
  if (name.empty()) return nullptr;
  const auto found = std::find_if(credentials.begin(), credentials.end(),
                                  [&](const Credential& c) { return c.name == name; });
  return found == credentials.end() ? nullptr : &*found;
}

}  // namespace exeat::policy
