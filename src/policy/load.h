// exeat.yaml -> Policy, or every mistake in it with its line.
//
// Errors:   each names file, line, key, what was expected and what to do. A later issue's key is
//           refused as "not supported yet", an unknown one with the nearest known key.
// Fail mode: nothing is defaulted into permission: a missing posture is deny-all, a missing
//           destination list allows nothing.
// Source:   docs/policy.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/policy.h"

namespace exeat::policy {

struct Mistake {
  std::string file;
  int line = 0;         // from 1; 0 when the file as a whole is meant
  std::string key;      // "destinations[2].host"
  std::string message;  // what was expected and what to do
  bool not_supported_yet = false;

  // "exeat.yaml:12: destinations[2].host: ..."
  std::string ToString() const;
};

struct LoadResult {
  Policy policy;                  // meaningful only when there is no mistake
  std::vector<Mistake> mistakes;  // in file order
  bool ok() const { return mistakes.empty(); }
};

// Parses and validates text. `file` is for messages; relative paths in the policy are taken from
// `base_directory`. Reads no other file.
LoadResult Load(std::string_view text, const std::string& file, const std::string& base_directory);

// What can only be seen on this machine: trust bundle present, CA files, the store's password. One
// Mistake for each; empty when all is well. Credentials are credentials::CheckFiles's to look at.
std::vector<Mistake> CheckFiles(const Policy& policy, const std::string& file);
// How such a Mistake says why a file could not be read, with what to do.
std::string FileObjection(const base::Status& status);

// What `policy diff` prints: one line a changed key, "+ destinations.docs", "~ limits...", in a
// stable order; empty when nothing changes.
std::vector<std::string> Diff(const Policy& from, const Policy& to);

// Keys that differ though they are this edge's own and change at restart only (listeners, state,
// audit), or are part of keys and tokens made at start (deployment, ca): applying such a change
// needs a restart. Empty when there is none.
std::vector<std::string> RestartKeys(const Policy& running, const Policy& wanted);

// `shared`, a policy that edges share, as the edge with the policy `own` runs it: with this edge's
// own listeners, CA files and places of state, audit and store.
Policy WithOwnKeys(Policy shared, const Policy& own);

}  // namespace exeat::policy
