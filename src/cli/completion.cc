// exeat completion: scripts made from the tree of commands itself, so that they cannot go stale.
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/render.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

struct Options {
  std::string shell;
};

// One command: its path ("session create", "" for the root) and the words that may follow it.
struct Node {
  std::string path;
  std::vector<std::pair<std::string, std::string>> commands;  // name, description
  std::vector<std::pair<std::string, std::string>> options;
  bool takes_operands = false;
};

void Walk(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node;
  node.path = path;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      node.options.emplace_back("--" + name, option->get_description());
    }
  }
  for (const CLI::Option* option : app.get_options()) {
    node.takes_operands = node.takes_operands || option->get_positional();
  }
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) {
    node.commands.emplace_back(child->get_name(), child->get_description());
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* child : children) {
    Walk(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), nodes);
  }
}

std::string Words(const Node& node) {
  std::string words;
  for (const auto& [name, ignored] : node.commands) words += (words.empty() ? "" : " ") + name;
  for (const auto& [name, ignored] : node.options) words += (words.empty() ? "" : " ") + name;
  return words;
}

// bash and, by its own emulation, zsh: the path is what was typed so far without options.
std::string BashFunction(const std::vector<Node>& nodes) {
  std::string text =
      "_exeat() {\n"
      "  local path=\"\" words=\"\" word i now=\"${COMP_WORDS[COMP_CWORD]}\"\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=\"${COMP_WORDS[i]}\"\n"
      "    [[ $word == -- ]] && return\n"
      "    case \"$word\" in -*) continue ;; esac\n"
      "    case \"${path:+$path }$word\" in\n";
  for (const Node& node : nodes) {
    if (!node.path.empty()) text += fmt::format("      \"{0}\") path=\"{0}\" ;;\n", node.path);
  }
  text +=
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n";
  for (const Node& node : nodes) {
    text += fmt::format("    \"{}\") words=\"{}\" ;;\n", node.path, Words(node));
  }
  // Where nothing fits, `-o default` makes the shell offer files.
  text +=
      "  esac\n"
      "  case \"$path\" in\n";
  for (const Node& node : nodes) {
    if (node.takes_operands)
      text += fmt::format("    \"{}\") [[ $now == -* ]] || return ;;\n", node.path);
  }
  text +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
      "}\n";
  return text;
}

std::string Bash(const std::vector<Node>& nodes) {
  return BashFunction(nodes) + "complete -o default -F _exeat exeat\n";
}

std::string Zsh(const std::vector<Node>& nodes) {
  return "autoload -U +X bashcompinit && bashcompinit\n" + Bash(nodes);
}

std::string FishQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string Fish(const std::vector<Node>& nodes) {
  std::string text =
      "function __exeat_at\n"
      "  set -l words (string match -v -- '-*' (commandline -opc))\n"
      "  test \"$words[2..-1]\" = \"$argv[1]\"\n"
      "end\n"
      "function __exeat_in\n"
      "  set -l words (string match -v -- '-*' (commandline -opc))\n"
      "  string match -q -- \"$argv[1]*\" \"$words[2..-1]\"\n"
      "end\n";
  for (const Node& node : nodes) {
    for (const auto& [name, description] : node.commands) {
      text += fmt::format("complete -c exeat -f -n '__exeat_at \"{}\"' -a {} -d {}\n", node.path,
                          name, FishQuoted(description));
    }
    if (node.path.empty()) continue;
    for (const auto& [name, description] : node.options) {
      text += fmt::format("complete -c exeat -n '__exeat_in \"{}\"' -l {} -d {}\n", node.path,
                          name.substr(2), FishQuoted(description));
    }
  }
  return text;
}

int Completion(Context& context, const Options& options, const CLI::App& root) {
  std::vector<Node> nodes;
  Walk(root, "", nodes);
  const std::string script = options.shell == "bash"  ? Bash(nodes)
                             : options.shell == "zsh" ? Zsh(nodes)
                                                      : Fish(nodes);
  if (context.json) {
    context.out << JsonLine({{"shell", options.shell}, {"script", script}});
  } else {
    context.out << script;
  }
  return kDone;
}

}  // namespace

void AddCompletion(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(root, context,
                 {"completion", "Print the completion script of a shell",
                  "source <(exeat completion bash)\nexeat completion fish > "
                  "~/.config/fish/completions/exeat.fish"},
                 [&context, options, &root] { return Completion(context, *options, root); });
  command.add_option("shell", options->shell, "bash, zsh or fish")
      ->type_name("SHELL")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace exeat::cli
