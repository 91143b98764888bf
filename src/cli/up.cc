// exeat up: the edge in the foreground.
#include <unistd.h>

#include <memory>

#include "cli/commands.h"
#include "cli/find_edge.h"

namespace exeat::cli {
namespace {

struct Options {
  std::string config;
  std::string envoy;
  std::int64_t envoy_uid = -1;
  bool allow_unconfined_envoy = false;
  std::string log_level = "info";
};

int RunUp(Context& context, const Options& options) {
  UpOptions up;
  up.config_named = !options.config.empty();
  const std::string config = up.config_named ? options.config : "exeat.yaml";
  const bool readable = access(config.c_str(), R_OK) == 0;
  if (up.config_named && !readable) {
    return Fail(context, base::ErrnoStatus(errno, options.config));
  }
  if (readable) up.config = Absolute(config);
  const base::StatusOr<std::string> state = FindState(context.state, config);
  if (!state.ok()) return Fail(context, state.status());
  up.state = *state;
  up.envoy = options.envoy.empty() ? "" : Absolute(options.envoy);
  if (options.envoy_uid >= 0) up.envoy_uid = static_cast<uid_t>(options.envoy_uid);
  up.allow_unconfined_envoy = options.allow_unconfined_envoy;
  up.log_level = options.log_level;
  return context.hooks.up(up);
}

}  // namespace

void AddUp(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(root, context,
                 {"up", "Run the edge in the foreground; prints one line when it is ready",
                  "exeat up\nexeat up -c exeat.yaml --state ./state"},
                 [&context, options] { return RunUp(context, *options); });
  command
      .add_option("-c,--config", options->config,
                  "The policy file; goes before the revision applied last (else that revision, "
                  "else ./exeat.yaml)")
      ->type_name("FILE");
  command.add_option("--envoy", options->envoy, "One's own Envoy binary of the pinned version")
      ->type_name("PATH");
  command
      .add_option("--envoy-uid", options->envoy_uid,
                  "As root: the user that Envoy runs as, which may not read the state")
      ->type_name("UID")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4294967294}));
  command.add_flag("--allow-unconfined-envoy", options->allow_unconfined_envoy,
                   "Start even where nothing keeps Envoy from state and secrets");
  command.add_option("--log-level", options->log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

}  // namespace exeat::cli
