// Runs one command line and keeps what it printed.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "cli/cli.h"

namespace exeat::cli {

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

inline Ran Cli(const std::vector<std::string>& arguments, const CliHooks& hooks = {}) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = RunCli(arguments, hooks, out, err);
  return {code, out.str(), err.str()};
}

}  // namespace exeat::cli
