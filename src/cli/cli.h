// The command line: parses it, runs one command, gives its exit status.
//
// Shapes:     0 done, 1 refused or failed, 2 wrong usage (and policy keys that are not supported
//             yet). Results on standard output, errors on standard error: what, where, what next.
// Never:      a token in argv, in a log or in an error. It is printed only by the commands whose
//             result it is.
// Source:     docs/cli.md
#pragma once

#include <sys/types.h>

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace exeat::cli {

struct UpOptions {
  std::string config;         // absolute path of the policy; empty when none was named or found
  bool config_named = false;  // by -c: it then goes before the revision that was applied last
  std::string state;          // absolute path of the state directory
  std::string envoy;          // path of one's own Envoy; empty: the pinned one
  std::optional<uid_t> envoy_uid;
  bool allow_unconfined_envoy = false;
  std::string log_level = "info";
};

// What the program around this room supplies.
struct CliHooks {
  std::function<int(const UpOptions&)> up;  // the guardian, in the foreground
  // The hidden command that the guardian starts itself with; gets its arguments as they are.
  std::function<int(const std::vector<std::string>&)> control;
};

int RunCli(int argc, char** argv, const CliHooks& hooks);

// The same with the program's name taken off and the streams named, for tests.
int RunCli(const std::vector<std::string>& arguments, const CliHooks& hooks, std::ostream& out,
           std::ostream& err);

}  // namespace exeat::cli
