#include "policy/known_keys.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace exeat::policy {
namespace {

constexpr std::array kKnownKeys = {
    KnownKey{"", "version", true},
    KnownKey{"", "deployment", true},
    KnownKey{"", "state", true},
    KnownKey{"", "listeners", true},
    KnownKey{"", "operator", false},
    KnownKey{"", "posture", true},
    KnownKey{"", "sessions", true},
    KnownKey{"", "resolver", true},
    KnownKey{"", "upstream_trust", true},
    KnownKey{"", "ca", true},
    KnownKey{"", "credentials", true},
    KnownKey{"", "destinations", true},
    KnownKey{"", "limits", true},
    KnownKey{"", "tripwire", false},
    KnownKey{"", "content", false},
    KnownKey{"", "audit", true},
    KnownKey{"", "store", true},
    KnownKey{"", "ratelimit", true},
    KnownKey{"", "streams", true},

    KnownKey{"listeners", "proxy", true},
    KnownKey{"listeners", "transparent", true},
    KnownKey{"listeners", "storage", false},

    KnownKey{"sessions", "max_lifetime", true},
    KnownKey{"sessions", "skew", true},
    KnownKey{"sessions", "issuers", false},
    KnownKey{"sessions", "introspection", false},

    KnownKey{"resolver", "upstream", true},
    KnownKey{"resolver", "hosts", true},
    KnownKey{"resolver", "allow_private", true},

    KnownKey{"ca", "certificate", true},
    KnownKey{"ca", "key", true},

    KnownKey{"credentials[]", "name", true},
    KnownKey{"credentials[]", "kind", true},
    KnownKey{"credentials[]", "header", true},
    KnownKey{"credentials[]", "username", true},
    KnownKey{"credentials[]", "source", true},
    KnownKey{"credentials[]", "hosts", true},
    KnownKey{"credentials[]", "service", true},
    KnownKey{"credentials[]", "region", true},
    KnownKey{"credentials[]", "token_url", false},
    KnownKey{"credentials[]", "client_id", false},
    KnownKey{"credentials[]", "scopes", false},

    KnownKey{"credentials[].source", "file", true},
    KnownKey{"credentials[].source", "sds", false},
    KnownKey{"credentials[].source", "certificate", true},
    KnownKey{"credentials[].source", "key", true},

    KnownKey{"destinations[]", "name", true},
    KnownKey{"destinations[]", "host", true},
    KnownKey{"destinations[]", "ports", true},
    KnownKey{"destinations[]", "credential", true},
    KnownKey{"destinations[]", "grant", true},
    KnownKey{"destinations[]", "allow", true},
    KnownKey{"destinations[]", "limits", true},
    KnownKey{"destinations[]", "mode", true},
    KnownKey{"destinations[]", "authorize", true},
    KnownKey{"destinations[]", "anonymous", false},
    KnownKey{"destinations[]", "internal", false},
    KnownKey{"destinations[]", "broker", false},
    KnownKey{"destinations[]", "cookies", false},

    KnownKey{"destinations[].allow[]", "methods", true},
    KnownKey{"destinations[].allow[]", "path", true},

    KnownKey{"destinations[].limits", "requests_per_minute", true},
    KnownKey{"destinations[].limits", "burst", true},
    KnownKey{"destinations[].limits", "concurrent", false},
    KnownKey{"destinations[].limits", "connections_per_minute", false},
    KnownKey{"destinations[].limits", "bytes_out_per_hour", false},

    KnownKey{"limits", "requests_per_minute", true},
    KnownKey{"limits", "burst", true},
    KnownKey{"limits", "concurrent", false},
    KnownKey{"limits", "connections_per_minute", false},
    KnownKey{"limits", "bytes_out_per_hour", false},

    KnownKey{"store", "url", true},
    KnownKey{"store", "password_file", true},

    KnownKey{"streams", "cut", true},
    KnownKey{"streams", "max_duration", true},

    KnownKey{"audit", "dir", true},
    KnownKey{"audit", "durability", false},
};

constexpr std::size_t kMaxSuggestedBytes = 40;

// Levenshtein's distance: how many letters to add, drop or change.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const KnownKey> KnownKeys() { return kKnownKeys; }

std::string_view NearestKey(std::string_view map, std::string_view written) {
  if (written.size() > kMaxSuggestedBytes) return {};
  std::string_view nearest;
  std::size_t best = std::max<std::size_t>(2, written.size() / 3) + 1;
  for (const KnownKey& known : kKnownKeys) {
    if (known.map != map) continue;
    // Of a two-letter slip in a three-letter word nothing is left to recognise.
    const std::size_t distance = Distance(written, known.key);
    if (distance >= best || distance >= known.key.size()) continue;
    best = distance;
    nearest = known.key;
  }
  return nearest;
}

}  // namespace exeat::policy
