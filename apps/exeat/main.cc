// exeat: the command line, the guardian behind `exeat up`, and the control process it starts.
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "cli/cli.h"
#include "control.h"
#include "fmt/format.h"
#include "guardian/runner.h"

namespace exeat {
namespace {

// Both sides of one private interface: what Up writes, Control reads.
std::vector<std::string> ControlArguments(const cli::UpOptions& options, std::uint32_t envoy_uid,
                                          int link_fd) {
  std::vector<std::string> arguments = {"exeat",       "control",
                                        "--link-fd",   std::to_string(link_fd),
                                        "--envoy-uid", std::to_string(envoy_uid),
                                        "--log-level", options.log_level};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {name, value});
  };
  add("--config", options.config);
  add("--state", options.state);
  add("--envoy", options.envoy);
  if (options.config_named) arguments.emplace_back("--config-named");
  return arguments;
}

int Control(const std::vector<std::string>& arguments) {
  ControlOptions options;
  CLI::App parser("the control process of `exeat up`");
  parser.add_option("--link-fd", options.link_fd)->required();
  parser.add_option("--envoy-uid", options.envoy_uid)->required();
  parser.add_option("--log-level", options.log_level);
  parser.add_option("--config", options.config);
  parser.add_option("--state", options.state);
  parser.add_option("--envoy", options.envoy);
  parser.add_flag("--config-named", options.config_named);
  try {
    parser.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return parser.exit(error);
  }
  return RunControl(options);
}

int Up(const cli::UpOptions& options) {
  base::StartLog("guardian", options.log_level);
  guardian::GuardianOptions guarded;
  guarded.envoy_uid = options.envoy_uid.value_or(guardian::kEnvoyUid);
  guarded.envoy_gid = guarded.envoy_uid;
  guarded.allow_unconfined = options.allow_unconfined_envoy;
  guarded.control_argv = [&](int link_fd) {
    return ControlArguments(options, guarded.envoy_uid, link_fd);
  };
  return guardian::RunGuardian(guarded);
}

}  // namespace
}  // namespace exeat

int main(int argc, char** argv) {
  return exeat::cli::RunCli(argc, argv, {.up = exeat::Up, .control = exeat::Control});
}
