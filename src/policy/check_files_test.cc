#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/load.h"

namespace exeat::policy {
namespace {

using testing::HasSubstr;
using testing::Not;

class CheckFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "check_files_XXXXXX";
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
    const LoadResult loaded = Load(
        "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\nupstream_trust: roots.pem\n"
        "credentials:\n- name: k\n  kind: bearer\n  source:\n    file: " +
            file + "\n" + more,
        "exeat.yaml", directory_);
    EXPECT_TRUE(loaded.ok());
    std::string all;
    for (const Mistake& mistake : CheckFiles(loaded.policy, "exeat.yaml")) {
      all += mistake.ToString() + "\n";
    }
    return all;
  }

  std::string directory_;
};

TEST_F(CheckFilesTest, TheTrustBundleHoldsACertificate) {
  Write("roots.pem", "no certificate here\n", 0644);
  EXPECT_THAT(Check("secret"), HasSubstr("exeat.yaml:4: upstream_trust: "));
  EXPECT_THAT(Check("secret"), HasSubstr("holds no PEM certificate"));
  std::filesystem::remove(directory_ + "/roots.pem");
  EXPECT_THAT(Check("secret"), HasSubstr("exeat.yaml:4: upstream_trust: "));
}

TEST_F(CheckFilesTest, AnImportedAuthorityHasBothItsFiles) {
  const std::string ca = "ca:\n  certificate: ca.crt\n  key: ca.key\n";
  std::string text = Check("secret", ca);
  EXPECT_THAT(text, HasSubstr("exeat.yaml:11: ca.certificate: "));
  EXPECT_THAT(text, HasSubstr("exeat.yaml:12: ca.key: "));
  Write("ca.crt", "-----BEGIN CERTIFICATE-----\n", 0644);
  Write("ca.key", "-----BEGIN PRIVATE KEY-----\n", 0644);
  text = Check("secret", ca);
  EXPECT_THAT(text, Not(HasSubstr("ca.certificate")));
  EXPECT_THAT(text, HasSubstr("exeat.yaml:12: ca.key: "));
  EXPECT_THAT(text, HasSubstr("chmod 600"));
  Write("ca.key", "-----BEGIN EC PRIVATE KEY-----\n", 0600);
  EXPECT_EQ(Check("secret", ca), "");
  Write("ca.key", "-----BEGIN CERTIFICATE-----\n", 0600);
  EXPECT_THAT(Check("secret", ca), HasSubstr("holds no PEM private key"));
}
}  // namespace
}  // namespace exeat::policy
