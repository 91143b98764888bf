#include "cli/command.h"

#include <ostream>
#include <utility>

#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

void PrintError(Context& context, const std::string& code, const std::string& message) {
  if (context.json) {
    const nlohmann::json json = {{"error", message}, {"code", code}};
    context.err << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else {
    context.err << "exeat: " << message << "\n";
  }
}

std::string Indented(const std::string& lines) {
  std::string text = "  ";
  for (const char c : lines) {
    text += c;
    if (c == '\n') text += "  ";
  }
  return text;
}

}  // namespace

CLI::App& AddCommand(CLI::App& parent, Context& context, const CommandText& text,
                     std::function<int()> action) {
  CLI::App& command = *parent.add_subcommand(text.name, text.description);
  command.footer("Example:\n" + Indented(text.example));
  command.add_flag("--json", context.json, "Print JSON instead of text");
  command
      .add_option("--state", context.state,
                  "The edge's state directory (else $EXEAT_STATE, else `state:` of "
                  "./exeat.yaml, else ./state)")
      ->type_name("DIR");
  command.callback([&context, run = std::move(action)] { context.action = run; });
  return command;
}

CLI::App& AddGroup(CLI::App& parent, const CommandText& text) {
  CLI::App& group = *parent.add_subcommand(text.name, text.description);
  group.footer("Example:\n" + Indented(text.example));
  group.require_subcommand(1);
  return group;
}

int Fail(Context& context, const base::Status& status) {
  PrintError(context, absl::StatusCodeToString(status.code()), base::Message(status));
  return kFailed;
}

int FailUsage(Context& context, const std::string& message) {
  PrintError(context, "WRONG_USAGE", message);
  return kWrongUsage;
}

}  // namespace exeat::cli
