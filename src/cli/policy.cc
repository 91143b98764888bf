// exeat policy check | diff | apply.
#include <algorithm>
#include <memory>
#include <ostream>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/find_edge.h"
#include "cli/render.h"
#include "cli/streams.h"
#include "credentials/check_files.h"
#include "nlohmann/json.hpp"
#include "policy/load.h"

namespace exeat::cli {
namespace {

struct Options {
  std::string file;
};

struct Checked {
  ops::v1::PolicyText text;
  policy::Policy policy;
  std::vector<policy::Mistake> mistakes;
};

base::StatusOr<Checked> CheckFile(const std::string& file) {
  base::StatusOr<std::string> text = base::ReadFile(file);
  if (!text.ok()) return base::Annotate(text.status(), "the policy file cannot be read");
  Checked checked;
  checked.text.set_text(*text);
  checked.text.set_file(file);
  checked.text.set_base_directory(DirectoryOf(Absolute(file)));
  policy::LoadResult loaded = policy::Load(*text, file, checked.text.base_directory());
  checked.mistakes = std::move(loaded.mistakes);
  if (checked.mistakes.empty()) checked.mistakes = credentials::CheckFiles(loaded.policy, file);
  checked.policy = std::move(loaded.policy);
  return checked;
}

// A key of a later version is a file for another exeat: wrong usage of this one.
int CodeOf(const std::vector<policy::Mistake>& mistakes) {
  const bool later = std::any_of(mistakes.begin(), mistakes.end(),
                                 [](const policy::Mistake& m) { return m.not_supported_yet; });
  return later ? kWrongUsage : kFailed;
}

nlohmann::json AsJson(const std::vector<policy::Mistake>& mistakes) {
  nlohmann::json list = nlohmann::json::array();
  for (const policy::Mistake& mistake : mistakes) {
    list.push_back({{"file", mistake.file},
                    {"line", mistake.line},
                    {"key", mistake.key},
                    {"message", mistake.message},
                    {"not_supported_yet", mistake.not_supported_yet}});
  }
  return list;
}

int ReportMistakes(Context& context, const std::vector<policy::Mistake>& mistakes) {
  if (context.json) {
    context.out << JsonLine({{"ok", false}, {"mistakes", AsJson(mistakes)}});
    return CodeOf(mistakes);
  }
  for (const policy::Mistake& mistake : mistakes) context.err << mistake.ToString() << "\n";
  return CodeOf(mistakes);
}

std::string Counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

int Check(Context& context, const Options& options) {
  const base::StatusOr<Checked> checked = CheckFile(options.file);
  if (!checked.ok()) return Fail(context, checked.status());
  if (!checked->mistakes.empty()) return ReportMistakes(context, checked->mistakes);
  if (context.json) {
    context.out << JsonLine({{"ok", true}, {"mistakes", nlohmann::json::array()}});
  } else {
    context.out << options.file
                << ": ok: " << Counted(checked->policy.destinations.size(), "destination") << ", "
                << Counted(checked->policy.credentials.size(), "credential") << ", posture "
                << (checked->policy.posture == policy::Posture::kBump ? "bump" : "deny-all")
                << "\n";
  }
  return kDone;
}

nlohmann::json Strings(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& text : strings) list.push_back(text);
  return list;
}

int Diff(Context& context, const Options& options) {
  const base::StatusOr<Checked> checked = CheckFile(options.file);
  if (!checked.ok()) return Fail(context, checked.status());
  if (!checked->mistakes.empty()) return ReportMistakes(context, checked->mistakes);
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context, options.file);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::DiffPolicyReply reply;
  const base::Status compared = edge->Call(&Stub::DiffPolicy, checked->text, &reply);
  if (!compared.ok()) return Fail(context, compared);
  if (context.json) {
    context.out << JsonLine(
        {{"changes", Strings(reply.changes())}, {"restart_keys", Strings(reply.restart_keys())}});
    return kDone;
  }
  for (const std::string& change : reply.changes()) context.out << change << "\n";
  if (reply.changes().empty()) context.out << "no difference to what runs\n";
  for (const std::string& key : reply.restart_keys()) {
    context.out << "needs a restart: " << key << "\n";
  }
  return kDone;
}

int Apply(Context& context, const Options& options) {
  const base::StatusOr<Checked> checked = CheckFile(options.file);
  if (!checked.ok()) return Fail(context, checked.status());
  if (!checked->mistakes.empty()) return ReportMistakes(context, checked->mistakes);
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context, options.file);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::ApplyPolicyReply reply;
  const base::Status applied = edge->Call(&Stub::ApplyPolicy, checked->text, &reply);
  if (!applied.ok()) return Fail(context, applied);
  if (context.json) {
    context.out << JsonLine({{"revision", reply.revision()},
                             {"unchanged", reply.unchanged()},
                             {"changes", Strings(reply.changes())},
                             {"streams", StreamsJson(reply.streams())}});
    return JudgeStreams(context, reply.streams());
  }
  for (const std::string& change : reply.changes()) context.out << change << "\n";
  context.out << (reply.unchanged() ? "nothing changed: revision " : "revision ")
              << reply.revision() << " is in force and stored\n";
  if (!reply.unchanged() || reply.streams().cut() + reply.streams().uncut() > 0) {
    PrintStreams(context, reply.streams());
  }
  return JudgeStreams(context, reply.streams());
}

void AddFileCommand(CLI::App& group, Context& context, const CommandText& text,
                    int (*run)(Context&, const Options&)) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(group, context, text, [&context, options, run] { return run(context, *options); });
  command.add_option("file", options->file, "The policy file")->type_name("FILE")->required();
}

}  // namespace

void AddPolicy(CLI::App& root, Context& context) {
  CLI::App& group =
      AddGroup(root, {"policy", "Check, compare and apply policies",
                      "exeat policy check exeat.yaml\nexeat policy apply exeat.yaml"});
  AddFileCommand(group, context,
                 {"check", "Name every mistake in a policy; needs no running edge",
                  "exeat policy check exeat.yaml"},
                 Check);
  AddFileCommand(
      group, context,
      {"diff", "Show what applying a policy would change", "exeat policy diff exeat.yaml"}, Diff);
  AddFileCommand(
      group, context,
      {"apply", "Put a policy in force, whole or not at all", "exeat policy apply exeat.yaml"},
      Apply);
}

}  // namespace exeat::cli
