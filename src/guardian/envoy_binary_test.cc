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
