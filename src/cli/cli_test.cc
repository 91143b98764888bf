#include "cli/cli.h"

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "cli/commands.h"
#include "cli/testing/run_cli.h"
#include "nlohmann/json.hpp"
#include "store/testing/private_directory.h"

namespace exeat::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every command that does something, as the path that leads to it.
std::vector<std::vector<std::string>> EveryCommand() {
  static const CliHooks hooks;
  std::ostringstream ignored;
  Context context{hooks, ignored, ignored, false, {}, {}, false, {}};
  CLI::App root;
  AddCommands(root, context);
  std::vector<std::vector<std::string>> paths;
  for (const CLI::App* app : root.get_subcommands([](const CLI::App*) { return true; })) {
    const auto below = app->get_subcommands([](const CLI::App*) { return true; });
    if (below.empty()) paths.push_back({app->get_name()});
    for (const CLI::App* leaf : below) paths.push_back({app->get_name(), leaf->get_name()});
  }
  return paths;
}

TEST(CommandLine, HasEveryCommandOfThisVersionAndNoOther) {
  std::vector<std::string> names;
  for (const auto& path : EveryCommand()) {
    names.push_back(path.front() + (path.size() > 1 ? " " + path.back() : ""));
  }
  EXPECT_THAT(
      names, ::testing::UnorderedElementsAre(
                 "init", "up", "run", "session create", "session list", "session show",
                 "session renew", "session revoke", "session restore", "session rotate-key",
                 "policy check", "policy diff", "policy apply", "why", "audit tail", "audit verify",
                 "audit export", "ca show", "doctor", "metrics", "version", "completion"));
}

TEST(CommandLine, HasHelpWithAnExampleAndJsonForEveryCommand) {
  for (std::vector<std::string> path : EveryCommand()) {
    const std::string name = path.back();
    path.push_back("--help");
    const Ran ran = Cli(path);
    EXPECT_EQ(ran.code, 0) << name;
    EXPECT_THAT(ran.out, HasSubstr("Example:\n  ")) << name;
    EXPECT_THAT(ran.out, HasSubstr("exeat " + path.front())) << name;
    EXPECT_THAT(ran.out, HasSubstr("--json")) << name;
    EXPECT_THAT(ran.err, IsEmpty()) << name;
  }
}

TEST(CommandLine, AnswersWrongUsageWithTwoAndOnStandardError) {
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {},
           {"nonsense"},
           {"session"},
           {"session", "show"},
           {"session", "create", "--ttl", "fifteen"},
           {"session", "create", "--ttl", "15"},
           {"session", "create", "--colour"},
           {"session", "revoke"},
           {"session", "revoke", "s", "--sub", "b"},
           {"session", "restore", "--all", "--jti", "j"},
           {"policy", "check"},
           {"why", "GET"},
           {"completion", "tcsh"},
           {"run"},
           {"run", "--"},
           {"version", "--", "x"},
           {"up", "--log-level", "loud"},
           {"up", "--envoy-uid", "0"},
       }) {
    const Ran ran = Cli(wrong);
    EXPECT_EQ(ran.code, 2) << (wrong.empty() ? "(nothing)" : wrong.front());
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_THAT(ran.err, ::testing::Not(IsEmpty()));
  }
}

TEST(CommandLine, SaysWhatWasWrongAndWhereToLook) {
  EXPECT_THAT(Cli({"sesion"}).err, HasSubstr("exeat has no command sesion; it has: init, up, run"));
  EXPECT_THAT(Cli({"session", "lst"}).err,
              HasSubstr("exeat session has no command lst; it has: create, list, show"));
  EXPECT_THAT(Cli({"session"}).err, HasSubstr("name one of: create, list"));
  EXPECT_THAT(Cli({"run", "curl", "-sS", "https://x"}).err, HasSubstr("behind `--`"));
  EXPECT_THAT(Cli({"--state", "x", "version"}).err, HasSubstr("not expected here: --state"));
  EXPECT_THAT(Cli({"version", "one", "--two"}).err, HasSubstr("not expected here: one --two; see"));
  EXPECT_THAT(Cli({"session", "show"}).err,
              HasSubstr("sid is required; see: exeat session show --help"));
  EXPECT_THAT(Cli({"audit", "tail", "-n", "-1"}).err, HasSubstr("--lines"));
}

TEST(CommandLine, SaysWhatWasWrongInJsonToo) {
  const Ran ran = Cli({"session", "show", "--json"});
  EXPECT_EQ(ran.code, 2);
  const nlohmann::json error = nlohmann::json::parse(ran.err, nullptr, false);
  ASSERT_TRUE(error.is_object()) << ran.err;
  EXPECT_EQ(error["code"], "WRONG_USAGE");
}

TEST(CommandLine, FailsWhenItsResultCannotBeWritten) {
  std::ofstream full("/dev/full");
  std::ostringstream err;
  EXPECT_EQ(RunCli({"version"}, {}, full, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("could not be written"));
}

TEST(CommandLine, PrintsItsVersion) {
  EXPECT_EQ(Cli({"--version"}).out, "exeat " EXEAT_VERSION "\n");
  EXPECT_EQ(Cli({"--version"}).code, 0);
  EXPECT_EQ(Cli({"version"}).out, "exeat " EXEAT_VERSION "\n");
  EXPECT_EQ(Cli({"version", "--json"}).out, "{\"version\":\"" EXEAT_VERSION "\"}\n");
}

TEST(CommandLine, SaysHowToStartAnEdgeThatIsNotThere) {
  const store::PrivateDirectory state;
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"session", "list"}, {"metrics"}, {"ca", "show"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--state", state.path()});
    const Ran ran = Cli(arguments);
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr("exeat up"));
    EXPECT_THAT(ran.err, HasSubstr(state.path()));
    EXPECT_THAT(ran.out, IsEmpty());
  }
}

TEST(CommandLine, HandsUpItsOptions) {
  const store::PrivateDirectory directory;
  UpOptions got;
  const CliHooks hooks{.up =
                           [&got](const UpOptions& options) {
                             got = options;
                             return 7;
                           },
                       .control = {}};
  const Ran ran = Cli({"up", "--state", directory.path(), "--envoy", "/opt/envoy", "--envoy-uid",
                       "998", "--allow-unconfined-envoy", "--log-level", "debug"},
                      hooks);
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(got.state, directory.path());
  EXPECT_EQ(got.envoy, "/opt/envoy");
  EXPECT_EQ(got.envoy_uid, 998U);
  EXPECT_TRUE(got.allow_unconfined_envoy);
  EXPECT_EQ(got.log_level, "debug");
  EXPECT_FALSE(got.config_named);
  EXPECT_THAT(ran.out, IsEmpty());
}

TEST(CommandLine, RefusesToStartFromAPolicyThatIsNotThere) {
  const Ran ran = Cli({"up", "-c", "/nowhere/exeat.yaml"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("/nowhere/exeat.yaml"));
}

TEST(CommandLine, HandsTheHiddenCommandItsArgumentsAsTheyAre) {
  std::vector<std::string> got;
  const CliHooks hooks{.up = {}, .control = [&got](const std::vector<std::string>& arguments) {
                         got = arguments;
                         return 3;
                       }};
  EXPECT_EQ(Cli({"control", "--link-fd", "5", "--", "x"}, hooks).code, 3);
  EXPECT_THAT(got, ::testing::ElementsAre("--link-fd", "5", "--", "x"));
  EXPECT_THAT(Cli({"--help"}).out, ::testing::Not(HasSubstr("control")));
}

TEST(Completion, KnowsEveryCommandAndOption) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Ran ran = Cli({"completion", shell});
    EXPECT_EQ(ran.code, 0);
    for (const char* word : {"rotate-key", "withdraw", "export", "allow-unconfined-envoy"}) {
      EXPECT_THAT(ran.out, HasSubstr(word)) << shell;
    }
    EXPECT_THAT(ran.out, ::testing::Not(HasSubstr("control"))) << shell;
  }
}

TEST(Completion, OfBashCompletesInBash) {
  const store::PrivateDirectory directory;
  const std::string script = directory.path() + "/completion";
  ASSERT_THAT(base::WriteFileAtomically(script, Cli({"completion", "bash"}).out, 0600),
              base::IsOk());
  const std::string ask = "bash -c 'source " + script + "; cd " + directory.path() +
                          "; touch rotten; COMP_WORDS=(exeat session --json rot); "
                          "COMP_CWORD=3; _exeat; test \"${COMPREPLY[*]}\" = rotate-key'";
  EXPECT_EQ(std::system(ask.c_str()), 0);
  // Files only where a command takes one, and what stands behind `--` is not ours.
  for (const char* line : {"(exeat policy check \"\")", "(exeat run -- r)"}) {
    const std::string none = "bash -c 'source " + script + "; COMP_WORDS=" + line +
                             "; COMP_CWORD=3; _exeat; test ${#COMPREPLY[@]} = 0'";
    EXPECT_EQ(std::system(none.c_str()), 0) << line;
  }
}

}  // namespace
}  // namespace exeat::cli
