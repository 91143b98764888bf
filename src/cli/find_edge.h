// Where a running edge is: its state directory and the socket that belongs to it.
//
// Order:    --state, $EXEAT_STATE, `state:` of the policy file, ./state. The file is looked at for
//           that one key only, so that a mistake elsewhere in it never stands before a revoke.
#pragma once

#include <string>

#include "base/status.h"

namespace exeat::cli {

// Absolute. `named` is --state, `policy_file` may be absent; both as given, "" for none.
base::StatusOr<std::string> FindState(const std::string& named, const std::string& policy_file);

// The operator's socket of the edge with this absolute state directory.
base::StatusOr<std::string> OperatorSocket(const std::string& state);

// Absolute form of a path that need not exist.
std::string Absolute(const std::string& path);
std::string DirectoryOf(const std::string& path);

}  // namespace exeat::cli
