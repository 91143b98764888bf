#include "guardian/envoy_binary.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusSays;

class EnvoyBinary : public ::testing::Test {
 protected:
  EnvoyBinary() {
    unsetenv("EXEAT_ENVOY");
    setenv("XDG_CACHE_HOME", (directory_ / "cache").c_str(), 1);
  }
  ~EnvoyBinary() override {
    unsetenv("EXEAT_ENVOY");
    unsetenv("XDG_CACHE_HOME");
  }
  std::string Program(const std::string& path, const std::string& body) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    chmod(path.c_str(), 0755);
    return path;
  }
  std::string Program(const std::string& body) { return Program(directory_ / "envoy", body); }
  TempDirectory directory_;
};

TEST_F(EnvoyBinary, AcceptsExactlyTheVersionThatWasBuiltFor) {
  const std::string path = Program(
      "[ \"$1\" = --version ] && echo && echo \"$0  version: "
      "9e55/1.40.0/Clean/RELEASE/BoringSSL\"");
  const auto identity = CheckEnvoyBinary(path);
  ASSERT_THAT(identity, IsOk());
  EXPECT_EQ(identity->path, path);
  EXPECT_EQ(identity->version, "1.40.0");
  EXPECT_EQ(identity->build, "9e55/1.40.0/Clean/RELEASE/BoringSSL");
}

TEST_F(EnvoyBinary, NamesPathFoundWantedAndRemedyOfAnotherVersion) {
  for (const std::string version : {"1.40.1", "1.39.0", "1.40.0-dev", "11.40.0", "1.40"}) {
    const std::string path =
        Program("echo \"envoy  version: 9e55/" + version + "/Clean/RELEASE/BoringSSL\"");
    const auto identity = CheckEnvoyBinary(path);
    for (const std::string& part : {path, "is Envoy " + version, std::string("Envoy 1.40.0"),
                                    std::string("tools/fetch-envoy")}) {
      EXPECT_THAT(identity, StatusSays(StatusCode::kFailedPrecondition, part));
    }
  }
}

TEST_F(EnvoyBinary, RefusesWhatIsNoEnvoy) {
  for (const std::string body : {"echo hello", "exit 0", "yes version | head -c 100000",
                                 "echo version: /", "echo version: 1.40.0"}) {
    EXPECT_THAT(CheckEnvoyBinary(Program(body)),
                StatusSays(StatusCode::kFailedPrecondition, "does not say that it is an Envoy"))
        << body;
  }
  std::ofstream(directory_ / "text") << "not a program";
  EXPECT_THAT(CheckEnvoyBinary(directory_ / "text"),
              StatusSays(StatusCode::kFailedPrecondition, "not an executable file"));
  EXPECT_THAT(CheckEnvoyBinary(directory_.path()),
              StatusSays(StatusCode::kFailedPrecondition, "not an executable file"));
  chmod((directory_ / "text").c_str(), 0755);
  EXPECT_THAT(CheckEnvoyBinary(directory_ / "text"),
              StatusSays(StatusCode::kFailedPrecondition, "cannot be run"));
  EXPECT_THAT(CheckEnvoyBinary(directory_ / "absent"),
              StatusSays(StatusCode::kNotFound, directory_ / "absent"));
}

TEST_F(EnvoyBinary, NamesWhatABootstrapNeedsAndItDoesNotHave) {
  const std::string path = Program(
      "[ \"$1 $2\" = '--mode validate' ] || exit 9\n"
      "echo \"[critical] error initializing config ' $6'\" >&2\n"
      "echo \"Didn't find a registered implementation for 'envoy.bootstrap.internal_listener' "
      "\"\\\n"
      "\"with type URL: 'envoy.x.v3.Y'\" >&2\nexit 1");
  EXPECT_EQ(BootstrapRefusal(path, "{}"), "it has no envoy.bootstrap.internal_listener");
}

TEST_F(EnvoyBinary, NamesATypeThatItDoesNotKnowAtAll) {
  const std::string path = Program(
      "echo \"[critical] error: Unable to parse JSON as proto (INVALID_ARGUMENT: could not find "
      "\"\\\n"
      "\"@type 'type.googleapis.com/envoy.x.v3.Y'): {}\" >&2");
  EXPECT_EQ(BootstrapRefusal(path, "{}"), "it has no envoy.x.v3.Y");
}

TEST_F(EnvoyBinary, OtherwiseItsLastWordsAgainstTheBootstrapOrNone) {
  EXPECT_EQ(
      BootstrapRefusal(Program("echo first >&2; echo 'no such field: x' >&2; echo >&2"), "{}"),
      "no such field: x");
  EXPECT_EQ(BootstrapRefusal(Program("echo only >&2"), "{}"), "only");
  EXPECT_EQ(BootstrapRefusal(Program("echo to standard output"), "{}"), "");
  EXPECT_EQ(BootstrapRefusal(Program("printf '%01000d' 0 >&2"), "{}").size(), 400u);
  EXPECT_EQ(BootstrapRefusal(directory_ / "absent", "{}"), "");
}

TEST_F(EnvoyBinary, AnExplicitPathComesFirstThenTheEnvironmentThenTheCache) {
  const std::string one = Program(directory_ / "one", "");
  const std::string two = Program(directory_ / "two", "");
  const std::string cached = Program(directory_ / "cache" + "/exeat/envoy-1.40.0/envoy", "");
  EXPECT_EQ(*FindEnvoy(""), cached);
  setenv("EXEAT_ENVOY", two.c_str(), 1);
  EXPECT_EQ(*FindEnvoy(""), two);
  EXPECT_EQ(*FindEnvoy(one), one);
}

TEST_F(EnvoyBinary, APlaceThatWasNamedAndIsWrongIsNeverSkipped) {
  Program(directory_ / "cache" + "/exeat/envoy-1.40.0/envoy", "");
  EXPECT_THAT(FindEnvoy(directory_ / "absent"),
              StatusSays(StatusCode::kNotFound, directory_ / "absent"));
  setenv("EXEAT_ENVOY", (directory_ / "absent").c_str(), 1);
  EXPECT_THAT(FindEnvoy(""), StatusSays(StatusCode::kNotFound, "EXEAT_ENVOY"));
}

TEST_F(EnvoyBinary, AnEmptyCacheSaysHowToFillIt) {
  EXPECT_THAT(FindEnvoy(""), StatusSays(StatusCode::kNotFound, "tools/fetch-envoy"));
  EXPECT_THAT(FindEnvoy(""), StatusSays(StatusCode::kNotFound, "/cache/exeat/envoy-1.40.0/envoy"));
}

}  // namespace
}  // namespace exeat::guardian
