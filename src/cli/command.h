// What every subcommand shares: its place in the tree, its streams, how it reports.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/cli.h"

namespace exeat::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

struct Context {
  const CliHooks& hooks;
  std::ostream& out;
  std::ostream& err;
  bool json = false;
  std::string state;                  // --state, as given
  std::vector<std::string> trailing;  // what stood behind `--`
  bool takes_trailing = false;        // the chosen command wants that
  std::function<int()> action;        // the chosen command
};

struct CommandText {
  std::string name;
  std::string description;
  std::string example;  // lines, each a command as one would type it
};

// Adds a command with --json, --state and its example; `action` runs after parsing.
CLI::App& AddCommand(CLI::App& parent, Context& context, const CommandText& text,
                     std::function<int()> action);

// Adds a command that only holds others.
CLI::App& AddGroup(CLI::App& parent, const CommandText& text);

// Prints the error and gives kFailed. With --json it is one JSON object.
int Fail(Context& context, const base::Status& status);
// The same for a command line that makes no sense: kWrongUsage.
int FailUsage(Context& context, const std::string& message);

}  // namespace exeat::cli
