// `exeat run` with real children.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/testing/status_matchers.h"
#include "cli/child.h"
#include "cli/guest_environment.h"
#include "cli/testing/fake_operator.h"
#include "cli/testing/run_cli.h"

namespace exeat::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Names(const std::vector<std::string>& environment) {
  std::vector<std::string> names;
  for (const std::string& entry : environment) names.push_back(entry.substr(0, entry.find('=')));
  return names;
}

GuestSetup SomeSetup() { return {"http://session:T@127.0.0.1:1", "T", "/b.pem", "/ca.pem"}; }

TEST(GuestEnvironment, LeavesNoWayRoundTheProxy) {
  const auto environment = GuestEnvironment(
      {"HTTPS_PROXY=http://elsewhere", "https_proxy=http://elsewhere", "ALL_PROXY=socks5://x",
       "NO_PROXY=*", "no_proxy=*", "SSL_CERT_DIR=/certs", "EXEAT_STATE=/s", "HOME=/root"},
      SomeSetup());
  for (const std::string& entry : environment) {
    EXPECT_THAT(entry, Not(HasSubstr("elsewhere")));
    EXPECT_NE(entry, "NO_PROXY=*");
    EXPECT_NE(entry, "no_proxy=*");
  }
  const auto names = Names(environment);
  EXPECT_THAT(names, Not(Contains("ALL_PROXY")));
  EXPECT_THAT(names, Not(Contains("SSL_CERT_DIR")));
  EXPECT_THAT(names, Not(Contains("EXEAT_STATE")));
  EXPECT_THAT(environment, Contains("HOME=/root"));
  EXPECT_THAT(environment, Contains("NO_PROXY=localhost,127.0.0.1,::1"));
}

TEST(GuestEnvironment, NamesEachVariableOnce) {
  auto names = Names(GuestEnvironment({"HTTP_PROXY=x", "PIP_CERT=y"}, SomeSetup()));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(GuestEnvironment, TellsEveryClientOfTheProxyAndTheCa) {
  const auto environment = GuestEnvironment({}, SomeSetup());
  for (const char* proxy : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}) {
    EXPECT_THAT(environment, Contains(std::string(proxy) + "=http://session:T@127.0.0.1:1"));
  }
  for (const char* bundle : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                             "AWS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "CARGO_HTTP_CAINFO"}) {
    EXPECT_THAT(environment, Contains(std::string(bundle) + "=/b.pem"));
  }
  EXPECT_THAT(environment, Contains("NODE_EXTRA_CA_CERTS=/ca.pem"));
  EXPECT_THAT(environment, Contains("NODE_USE_ENV_PROXY=1"));
  EXPECT_THAT(environment, Contains("EXEAT_SESSION_TOKEN=T"));
}

class RunCommand : public ::testing::Test {
 protected:
  Ran Run(const std::vector<std::string>& command, std::vector<std::string> options = {}) {
    std::vector<std::string> arguments = {"run", "--state", edge_.state()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command.begin(), command.end());
    return Cli(arguments);
  }
  Ran Shell(const std::string& script) { return Run({"sh", "-c", script}); }
  std::string Out() const { return edge_.directory() + "/out"; }

  const SignalGate before_any_thread_;
  FakeOperator edge_;
};

TEST_F(RunCommand, GivesTheCommandsOwnStatusAndRevokesAfterwards) {
  EXPECT_EQ(Shell("exit 0").code, 0);
  EXPECT_EQ(Shell("exit 42").code, 42);
  EXPECT_EQ(Shell("kill -9 $$").code, 128 + SIGKILL);
  ASSERT_EQ(edge_.revoked.size(), 3U);
  EXPECT_EQ(edge_.revoked[0].what(0).id(), "sid1");
}

TEST_F(RunCommand, KeepsTheTokenOutOfArguments) {
  ASSERT_EQ(Shell("tr '\\0' '\\n' < /proc/$PPID/cmdline > " + Out() +
                  "; tr '\\0' '\\n' < /proc/$$/cmdline >> " + Out() +
                  "; test -n \"$EXEAT_SESSION_TOKEN\"")
                .code,
            0);
  EXPECT_THAT(*base::ReadFile(Out()), Not(HasSubstr("tok.en")));
}

TEST_F(RunCommand, GivesTheProxyAndABundleWithOurCaThatIsGoneAfterwards) {
  ASSERT_EQ(Shell("test \"$HTTPS_PROXY\" = http://session:tok.en.1@127.0.0.1:3128 && "
                  "grep -q ours \"$SSL_CERT_FILE\" && grep -q ours \"$NODE_EXTRA_CA_CERTS\" && "
                  "test \"$(stat -c %a $(dirname $SSL_CERT_FILE))\" = 700 && "
                  "test $(grep -c BEGIN $NODE_EXTRA_CA_CERTS) = 1 && "
                  "printf %s \"$SSL_CERT_FILE\" > " +
                  Out())
                .code,
            0);
  EXPECT_FALSE(std::filesystem::exists(*base::ReadFile(Out())));
}

TEST_F(RunCommand, PassesOptionsOfTheCommandOnAsTheyAre) {
  EXPECT_EQ(
      Run({"sh", "-c", "test \"$1\" = --json && test \"$2\" = --", "sh", "--json", "--"}).code, 0);
}

TEST_F(RunCommand, AsksForGrantsAndLifetime) {
  ASSERT_EQ(Run({"true"}, {"--grant", "a", "--grant", "b", "--ttl", "30s"}).code, 0);
  EXPECT_EQ(edge_.created[0].grants_size(), 2);
  EXPECT_EQ(edge_.created[0].ttl_s(), 30);
}

TEST_F(RunCommand, HandsSignalsOnToTheCommand) {
  // The shell signals this process, which must not end but hand the signal back.
  const Ran ran = Shell("trap 'exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.01; done");
  EXPECT_EQ(ran.code, 5);
  EXPECT_EQ(edge_.revoked.size(), 1U);
}

TEST_F(RunCommand, SaysWhenThereIsNoSuchCommandAndRevokesTheSession) {
  const Ran ran = Run({"/nowhere/command"});
  EXPECT_EQ(ran.code, 127);
  EXPECT_THAT(ran.err, HasSubstr("/nowhere/command"));
  EXPECT_EQ(edge_.revoked.size(), 1U);
}

TEST_F(RunCommand, TellsACommandThatIsNowhereFromOneThatIsNotExecutable) {
  const std::string locked = edge_.directory() + "/not-a-directory";
  ASSERT_THAT(base::WriteFileAtomically(locked, "", 0600), base::IsOk());
  const std::string former = std::getenv("PATH");
  setenv("PATH", (locked + ":" + former).c_str(), 1);
  const Ran absent = Run({"no-such-command-anywhere"});
  setenv("PATH", (edge_.directory() + ":" + former).c_str(), 1);
  const Ran no_program = Run({"not-a-directory"});
  setenv("PATH", former.c_str(), 1);
  EXPECT_EQ(absent.code, 127);
  EXPECT_THAT(absent.err, HasSubstr("no-such-command-anywhere: no such command on PATH"));
  EXPECT_EQ(no_program.code, 126);
  EXPECT_THAT(no_program.err, HasSubstr("not-a-directory cannot be started"));
}

std::string Record(const std::string& sid, const std::string& phase, const std::string& reason) {
  return R"({"unmapped":{"exeat":{"sid":")" + sid + R"(","phase":")" + phase + R"(","reason":")" +
         reason + R"("}},"http_request":{"http_method":"CONNECT"},)" +
         R"("dst_endpoint":{"hostname":"no.test","port":443}})";
}

TEST_F(RunCommand, SaysWhatWasRefusedWhenTheCommandFails) {
  edge_.status.set_audit_seq(70);
  edge_.audit_lines = {Record("other", "outcome", "grant_missing"),
                       "not JSON sid1",
                       Record("sid1", "intent", ""),
                       Record("sid1", "outcome", ""),
                       Record("sid1", "outcome", "destination_not_allowed"),
                       Record("sid1", "outcome", "destination_not_allowed")};
  EXPECT_EQ(Shell("exit 56").err, "exeat: refused: CONNECT no.test:443, destination_not_allowed\n");
  ASSERT_EQ(edge_.tailed.size(), 1U);
  EXPECT_EQ(edge_.tailed[0].from_seq(), 71U);
  EXPECT_FALSE(edge_.tailed[0].follow());
  EXPECT_EQ(Shell("exit 0").err, "");
}

TEST_F(RunCommand, StartsNothingWithoutASession) {
  edge_.failure = {::grpc::StatusCode::UNAVAILABLE, "audit: disk full"};
  const Ran ran = Shell("touch " + Out());
  EXPECT_EQ(ran.code, 1);
  EXPECT_FALSE(std::filesystem::exists(Out()));
}

TEST_F(RunCommand, StartsNothingWithoutAProxy) {
  edge_.status.clear_proxy_address();
  const Ran ran = Shell("touch " + Out());
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("listeners.proxy"));
  EXPECT_TRUE(edge_.created.empty());
}

}  // namespace
}  // namespace exeat::cli
