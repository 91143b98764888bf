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

std::vector<const CLI::App*> Below(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string Joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

std::string NamesBelow(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* child : Below(app)) names.push_back(child->get_name());
  return Joined(names, ", ");
}

// CLI11's own words for what it cannot place name neither the command nor what to do.
std::string UsageMistake(const CLI::App& root, const std::vector<std::string>& arguments,
                         const CLI::ParseError& error) {
  const CLI::App* at = &root;
  std::string path = root.get_name();
  std::string unknown;
  for (const std::string& word : arguments) {
    const auto children = Below(*at);
    const auto found = std::find_if(children.begin(), children.end(), [&word](const auto* child) {
      return child->get_name() == word;
    });
    if (found == children.end()) {
      if (!children.empty()) unknown = word;
      break;
    }
    at = *found;
    path += " " + word;
  }
  const std::string see = "; see: " + path + " --help";
  if (unknown.starts_with('-')) {
    return "not expected here: " + unknown + "; options stand behind the whole command" + see;
  }
  if (!unknown.empty()) {
    return path + " has no command " + unknown + "; it has: " + NamesBelow(*at) + see;
  }
  if (!Below(*at).empty()) return "name one of: " + NamesBelow(*at) + see;
  const bool unplaced = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  if (unplaced && path == "exeat run") {
    return "put the command behind `--`, e.g. exeat run -- curl https://..." + see;
  }
  if (unplaced) return "not expected here: " + Joined(root.remaining(true), " ") + see;
  return error.what() + see;
}

int ParseAndRun(CLI::App& root, Context& context, const std::vector<std::string>& arguments) {
  try {
    // CLI11 takes its arguments last one first.
    root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // asked for help or version
      root.exit(error, context.out, context.err);
      return kDone;
    }
    context.json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    return FailUsage(context, UsageMistake(root, arguments, error));
  }
  if (!context.trailing.empty() && !context.takes_trailing) {
    return FailUsage(context, "this command takes nothing behind `--`");
  }
  const int code = context.action();
  context.out.flush();
  if (code != kDone || context.out.good()) return code;
  return Fail(context, base::MakeStatus(base::StatusCode::kUnavailable,
                                        "standard output could not be written"));
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
  root.set_version_flag("--version", "exeat " EXEAT_VERSION, "Print the version");
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
