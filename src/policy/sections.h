// The sections of a policy file, each read by one function into the policy.
//
// Errors:    recorded in the Reader; a field that has one keeps its default, so that the checks
//            across sections can go on and show every mistake in one go.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "policy/reader.h"

namespace exeat::policy {

// The policy in the making, and where its parts stand. An entry of the two lists has the index that
// it has in the file, whether it was good or not.
struct Draft {
  Policy policy;
  std::vector<Located> credentials;
  std::vector<Located> destinations;
};

void ReadCredentials(Reader& reader, const Located& root, Draft& draft);
void ReadDestinations(Reader& reader, const Located& root, Draft& draft);
void ReadResolver(Reader& reader, const Located& root, Draft& draft);
// nullopt for SQLite.
std::optional<SharedStore> ReadStore(Reader& reader, const Located& root);

// What only shows when all sections are known: references, one credential at two registrable
// domains, a destination that another one hides, hosts that nothing resolves, tunnels that nothing
// opens.
void CheckCoherence(Reader& reader, const Located& root, const Draft& draft);

// A host written as a value, in canonical form.
std::optional<std::string> ReadHost(Reader& reader, const Located& at);
// As ReadHost for a host that is a mapping's key, whose value stands at `at`.
std::optional<std::string> ReadHostKey(Reader& reader, const Located& at, std::string_view text);

// `map` is where it stands in the table of known keys: "limits", "destinations[].limits".
std::optional<RateLimit> ReadLimits(Reader& reader, const Located& at, std::string_view map);

}  // namespace exeat::policy
