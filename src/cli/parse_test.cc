// Small parsers of the command line.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/testing/status_matchers.h"
#include "cli/duration.h"
#include "cli/find_edge.h"
#include "cli/proxy_url.h"
#include "store/testing/private_directory.h"

namespace exeat::cli {
namespace {

using std::chrono::seconds;

TEST(Duration, NeedsANumberAndOneUnit) {
  EXPECT_EQ(ParseDuration("1s"), seconds(1));
  EXPECT_EQ(ParseDuration("15m"), seconds(900));
  EXPECT_EQ(ParseDuration("1h"), seconds(3600));
  EXPECT_EQ(ParseDuration("0s"), seconds(0));
  for (const char* wrong :
       {"", "s", "15", "15 m", "1.5h", "-1s", "+1s", "1d", "1mm", "25h", "99999999999999999999s"}) {
    EXPECT_EQ(ParseDuration(wrong), std::nullopt) << wrong;
  }
}

TEST(ProxyUrl, DialsLoopbackWhereTheListenerIsOnEveryAddress) {
  EXPECT_EQ(ProxyUrl("0.0.0.0:3128", "T"), "http://session:T@127.0.0.1:3128");
  EXPECT_EQ(ProxyUrl("[::]:3128", "T"), "http://session:T@[::1]:3128");
  EXPECT_EQ(ProxyUrl("192.0.2.1:1", "T"), "http://session:T@192.0.2.1:1");
  EXPECT_EQ(ProxyUrl("", "T"), "");
}

TEST(FindState, TakesTheFlagThenTheEnvironmentThenTheFile) {
  const store::PrivateDirectory directory;
  const std::string file = directory.path() + "/exeat.yaml";
  std::ofstream(file) << "version: 1\nlisteners: {broken\nstate: './kept here'  # for now\n";
  unsetenv("EXEAT_STATE");
  EXPECT_EQ(*FindState("", file), directory.path() + "/kept here");
  setenv("EXEAT_STATE", "/srv/edge", 1);
  EXPECT_EQ(*FindState("", file), "/srv/edge");
  EXPECT_EQ(*FindState("/srv/other", file), "/srv/other");
  unsetenv("EXEAT_STATE");
}

TEST(Absolute, HoldsForWhatDoesNotExistYetToo) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(Absolute("not-there-yet"), here + "/not-there-yet");
  EXPECT_EQ(Absolute("not-there-yet/../x/y"), here + "/x/y");
  EXPECT_EQ(Absolute("/nowhere/x"), "/nowhere/x");
}

TEST(FindState, ReadsPlainQuotedAndCommentedValues) {
  const store::PrivateDirectory directory;
  const std::string file = directory.path() + "/exeat.yaml";
  for (const char* line :
       {"state: ./a", "state: ./a # comment", "state: \"./a\"", "state:   ./a  "}) {
    std::ofstream(file) << line << "\n";
    EXPECT_EQ(*FindState("", file), directory.path() + "/a") << line;
  }
  for (const char* line : {"state:", "state: # later", "  state: ./a", "#state: ./a"}) {
    std::ofstream(file) << line << "\n";
    EXPECT_EQ(*FindState("", file), Absolute("state")) << line;
  }
}

}  // namespace
}  // namespace exeat::cli
