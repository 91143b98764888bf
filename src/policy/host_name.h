// A host name in its one canonical spelling, so that names compare byte for byte everywhere.
//
// Shapes:   lower case, A-labels (IDNA 2008), no trailing dot, at most 253 bytes; labels of
// letters,
//           digits and '-', 1 to 63 bytes; never an IP literal.
// Errors:   Normalise gives nullopt for everything else: empty, '*', '_', NUL, '%', '@', ports,
//           full-width dots that do not map, and names whose last label is a number.
// Source:   RFC 1123, RFC 5890, RFC 5891
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace exeat::policy {

// The canonical form of a name a person or a guest wrote.
std::optional<std::string> NormaliseHost(std::string_view name);

// True when `name` already is what NormaliseHost would give: what an SDS request must present.
bool IsCanonicalHost(std::string_view name);

// "host[:port]" of a CONNECT target or a Host header, the port with its default.
struct Authority {
  std::string host;  // canonical
  std::uint16_t port = 0;
  bool operator==(const Authority&) const = default;
};
// nullopt unless the host normalises and the port is 1 to 65535 in plain decimal, no leading zero.
std::optional<Authority> ParseAuthority(std::string_view text, std::uint16_t default_port);

// The registrable domain (public suffix plus one label) as far as exeat's rule for credential
// reuse needs it; the last two labels, or three under the well-known two-label suffixes.
std::string RegistrableDomain(std::string_view canonical_host);

}  // namespace exeat::policy
