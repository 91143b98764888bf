#include "cli/cli.h"

#include <algorithm>
#include <exception>
#include <iostream>
#include <iterator>

#include "cli/commands.h"
#include "guardian/harden.h"

namespace exeat::cli {

void AddCommands(CLI::App& root, Context& context) {
  AddInit(root, context);
  AddUp(root, context);
  AddRun(root, context);
  AddSession(root, context);
  AddPolicy(root, context);
  AddWhy(root, context);
  AddAudit(root, context);
  AddCa(root, context);
  AddDoctor(root, context);
  AddMetrics(root, context);
  AddVersion(root, context);
  AddCompletion(root, context);
}

namespace {

int ParseAndRun(CLI::App& root, Context& context, std::vector<std::string> arguments) {
  // CLI11 takes its arguments last one first.
  std::reverse(arguments.begin(), arguments.end());
  try {
    root.parse(arguments);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = error.get_exit_code() == 0;
    root.exit(error, context.out, context.err);
    return asked_for_help ? kDone : kWrongUsage;
  }
  if (!context.trailing.empty() && !context.takes_trailing) {
    return FailUsage(context, "this command takes nothing behind `--`");
  }
  return context.action();
}

}  // namespace

int RunCli(const std::vector<std::string>& arguments, const CliHooks& hooks, std::ostream& out,
           std::ostream& err) {
  if (!arguments.empty() && arguments.front() == "control") {
    return hooks.control({std::next(arguments.begin()), arguments.end()});
  }
  Context context{hooks, out, err, false, {}, {}, false, {}};
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes != arguments.end()) context.trailing.assign(std::next(dashes), arguments.end());

  CLI::App root("exeat: the egress edge for agent sandboxes", "exeat");
  root.require_subcommand(1);
  root.set_help_flag("-h,--help", "Print this help");
  root.footer("Example:\n  exeat init\n  exeat up\n  exeat run -- curl https://api.example/");
  root.failure_message([](const CLI::App* app, const CLI::Error& error) {
    return "exeat: " + std::string(error.what()) + "\nSee: " + app->get_name() +
           " --help, or --help behind any command\n";
  });
  try {
    AddCommands(root, context);
    return ParseAndRun(root, context, {arguments.begin(), dashes});
  } catch (const std::exception& error) {
    return Fail(context, base::MakeStatus(base::StatusCode::kInternal, error.what()));
  }
}

int RunCli(int argc, char** argv, const CliHooks& hooks) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  // Those two harden themselves; every other command may come to hold a token.
  const bool hardens_itself =
      !arguments.empty() && (arguments.front() == "up" || arguments.front() == "control");
  const base::Status hardened = hardens_itself ? absl::OkStatus() : guardian::HardenProcess();
  if (!hardened.ok()) {
    std::cerr << "exeat: " << base::Message(hardened) << "\n";
    return kFailed;
  }
  return RunCli(arguments, hooks, std::cout, std::cerr);
}

}  // namespace exeat::cli
