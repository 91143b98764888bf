#include "credentials/check_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "credentials/testing/pair.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::credentials {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CheckFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "check_files_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Write("roots.pem", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", 0644);
    Write("secret", "sk-hidden\n", 0600);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& content, mode_t mode) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }

  // The mistakes of a policy with one credential, as text.
  std::string Check(const std::string& file, const std::string& more = "") {
    const policy::LoadResult loaded = policy::Load(
        "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\nupstream_trust: roots.pem\n"
        "credentials:\n- name: k\n  kind: bearer\n  source:\n    file: " +
            file + "\n" + more,
        "exeat.yaml", directory_);
    EXPECT_TRUE(loaded.ok());
    std::string all;
    for (const policy::Mistake& mistake : credentials::CheckFiles(loaded.policy, "exeat.yaml")) {
      all += mistake.ToString() + "\n";
    }
    return all;
  }

  std::string directory_;
};

TEST_F(CheckFilesTest, FindsNothingWhenAllIsWell) {
  EXPECT_EQ(Check("secret"), "");
  Write("bare", "sk-hidden", 0400);
  EXPECT_EQ(Check("bare"), "");
  Write("dos", "sk-hidden\r\n", 0600);
  EXPECT_EQ(Check("dos"), "");
}

TEST_F(CheckFilesTest, NamesLineAndRemedyOfASecretThatOthersCanRead) {
  for (const mode_t mode : {0644, 0640, 0604, 0620}) {
    Write("open", "sk-hidden\n", mode);
    const std::string text = Check("open");
    EXPECT_THAT(text, HasSubstr("exeat.yaml:9: credentials[0].source.file: "));
    EXPECT_THAT(text, HasSubstr("chmod 600")) << mode;
  }
}

TEST_F(CheckFilesTest, RefusesAMissingOrIrregularFile) {
  EXPECT_THAT(Check("absent"), HasSubstr("create the file or correct the path"));
  EXPECT_THAT(Check("."), HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo((directory_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Check("pipe"), HasSubstr("not a regular file"));
}

TEST_F(CheckFilesTest, RefusesAValueThatCannotBeSentAndNeverPrintsIt) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "is empty"},
      {"\n", "is empty"},
      {"sk-hidden\n\n", "control character"},
      {"  \n", "space"},
      {"sk-hidden\nsk-second\n", "control character"},
      {"sk-\thidden\n", "control character"},
      {std::string("sk-hidden\0", 10), "control character"},
      {"sk-hidden \n", "space"},
      {" sk-hidden", "space"},
      {std::string(70'000, 'x'), "larger than"},
  };
  for (const auto& [content, expected] : cases) {
    Write("odd", content, 0600);
    EXPECT_THAT(Check("odd"), HasSubstr(expected)) << ::testing::PrintToString(content);
    EXPECT_THAT(Check("odd"), Not(HasSubstr("sk-")));
  }
}

TEST_F(CheckFilesTest, ACertificateNeedsItsOwnKeyWhichNobodyElseReads) {
  const testing::Pair mine = testing::MakePair(), other = testing::MakePair();
  const std::string mtls = "- name: m\n  kind: mtls\n  source: {certificate: m.crt, key: m.key}\n";
  Write("m.crt", mine.certificate, 0644);
  Write("m.key", mine.key, 0600);
  EXPECT_EQ(Check("secret", mtls), "");
  Write("m.key", mine.key, 0644);
  EXPECT_THAT(Check("secret", mtls), HasSubstr("exeat.yaml:12: credentials[1].source: "));
  EXPECT_THAT(Check("secret", mtls), HasSubstr("chmod 600"));
  Write("m.key", other.key, 0600);
  EXPECT_THAT(Check("secret", mtls), HasSubstr("the certificate is not of this key"));
  Write("m.key", "hunter2", 0600);
  EXPECT_THAT(Check("secret", mtls), HasSubstr("not an unencrypted private key"));
  EXPECT_THAT(Check("secret", mtls), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace exeat::credentials
