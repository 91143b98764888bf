// Every key a policy file may hold, and whether this version has what it asks for.
//
// Why here:  one table for the loader, the suggestion after a typing slip, and the test that keeps
//            the JSON Schema in agreement.
#pragma once

#include <span>
#include <string_view>

namespace exeat::policy {

struct KnownKey {
  std::string_view map;  // the mapping it stands in: "", "sessions", "destinations[].allow[]"
  std::string_view key;
  bool supported;  // false: refused as "not supported yet"
};

std::span<const KnownKey> KnownKeys();

// The key of `map` that `written` was most likely meant to be; empty when none is near.
std::string_view NearestKey(std::string_view map, std::string_view written);

}  // namespace exeat::policy
