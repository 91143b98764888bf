#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "crypto/pem.h"
#include "crypto/testing/chain_check.h"
#include "gtest/gtest.h"
#include "issuer/issuer.h"

namespace exeat::issuer {
namespace {

namespace fs = std::filesystem;
using base::StatusCode;
using base::StatusSays;

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() {
    std::string pattern = testing::TempDir() + "exeat-ca-XXXXXX";
    root_ = mkdtemp(pattern.data());
    directory_ = root_ + "/ca";
  }
  ~AuthorityTest() override { fs::remove_all(root_); }

  base::StatusOr<std::unique_ptr<Authority>> Open() const {
    return Authority::Open(directory_, "acme-dev", clock_);
  }
  std::string Write(const std::string& name, std::string_view content, unsigned mode = 0600) const {
    const std::string path = root_ + "/" + name;
    EXPECT_THAT(base::WriteFileAtomically(path, content, mode), base::IsOk());
    return path;
  }
  base::StatusOr<std::unique_ptr<Authority>> Import(std::string_view certificate,
                                                    std::string_view key) const {
    return Authority::Import({Write("in.crt", certificate, 0644), Write("in.key", key)}, clock_);
  }

  base::FakeClock clock_;
  std::string root_;
  std::string directory_;
};

TEST_F(AuthorityTest, IsMadeOncePrivateAndKept) {
  const std::string pem = (*Open())->CertificatePem();
  for (const char* name : {"/ca.crt", "/ca.key"}) {
    struct stat info{};
    ASSERT_EQ(stat((directory_ + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0600U);
  }
  EXPECT_EQ((*Open())->CertificatePem(), pem);
  EXPECT_EQ(*base::ReadFile(directory_ + "/ca.crt"), pem);
}

TEST_F(AuthorityTest, IsNamedAfterTheDeploymentAndLastsTenYears) {
  const crypto::X509Ptr x509 = crypto::ReadX509((*Open())->CertificatePem());
  char name[128];
  X509_NAME_get_text_by_NID(X509_get_subject_name(x509.get()), NID_commonName, name, sizeof(name));
  EXPECT_STREQ(name, "exeat CA acme-dev");
  const auto facts = crypto::ParseCertificate((*Open())->CertificatePem());
  EXPECT_EQ(facts->not_after - clock_.UnixNow(), 3653 * 86400);
  EXPECT_TRUE(facts->is_ca);
}

TEST_F(AuthorityTest, KeepsItsNameWithinTheStandardsBound) {
  const auto authority = Authority::Open(directory_, std::string(63, 'd'), clock_);
  const crypto::X509Ptr x509 = crypto::ReadX509((*authority)->CertificatePem());
  char name[128];
  EXPECT_EQ(X509_NAME_get_text_by_NID(X509_get_subject_name(x509.get()), NID_commonName, name,
                                      sizeof(name)),
            64);
}

TEST_F(AuthorityTest, RefusesOneFileWithoutTheOtherAndMakesNothing) {
  ASSERT_THAT(Open(), base::IsOk());
  fs::rename(directory_ + "/ca.key", root_ + "/away");
  EXPECT_THAT(Open(), StatusSays(StatusCode::kFailedPrecondition, "ca.key"));
  EXPECT_FALSE(fs::exists(directory_ + "/ca.key"));
  fs::rename(root_ + "/away", directory_ + "/ca.key");
  fs::remove(directory_ + "/ca.crt");
  EXPECT_THAT(Open(), StatusSays(StatusCode::kFailedPrecondition, "ca.crt"));
  EXPECT_FALSE(fs::exists(directory_ + "/ca.crt"));
}

TEST_F(AuthorityTest, RefusesAKeyOrDirectoryOpenToOthers) {
  ASSERT_THAT(Open(), base::IsOk());
  ASSERT_EQ(chmod((directory_ + "/ca.key").c_str(), 0640), 0);
  EXPECT_THAT(Open(), StatusSays(StatusCode::kFailedPrecondition, "chmod 600"));
  ASSERT_EQ(chmod((directory_ + "/ca.key").c_str(), 0600), 0);
  ASSERT_EQ(chmod(directory_.c_str(), 0750), 0);
  EXPECT_THAT(Open(), StatusSays(StatusCode::kFailedPrecondition, "chmod 700"));
}

TEST_F(AuthorityTest, RefusesACaThatHasEnded) {
  ASSERT_THAT(Open(), base::IsOk());
  clock_.StepWall(std::chrono::days(3653));
  EXPECT_THAT(Open(), StatusSays(StatusCode::kFailedPrecondition, "ended"));
}

TEST_F(AuthorityTest, ImportsAPairAndShowsTheCertificateAlone) {
  const auto made = Open();
  const std::string key = *base::ReadFile(directory_ + "/ca.key");
  const auto imported = Import((*made)->CertificatePem() + key, key);
  ASSERT_THAT(imported, base::IsOk());
  EXPECT_EQ((*imported)->CertificatePem(), (*made)->CertificatePem());
}

TEST_F(AuthorityTest, ImportRefusesAKeyThatDoesNotFit) {
  const auto made = Open();
  const auto other = crypto::PrivateKey::Generate();
  EXPECT_THAT(Import((*made)->CertificatePem(), other->ToPem()->Reveal()),
              StatusSays(StatusCode::kFailedPrecondition, "does not belong"));
  EXPECT_THAT(Import((*made)->CertificatePem(), "nonsense"),
              StatusSays(StatusCode::kFailedPrecondition, "in.key"));
  EXPECT_THAT(Import("nonsense", other->ToPem()->Reveal()),
              StatusSays(StatusCode::kFailedPrecondition, "in.crt"));
  EXPECT_THAT(Authority::Import({root_ + "/no.crt", root_ + "/no.key"}, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "no.crt"));
}

TEST_F(AuthorityTest, ImportRefusesALeafAsCa) {
  const auto made = Open();
  const auto issuer = *Issuer::Make(
      **made, {}, [](std::string_view, std::string_view) { return absl::OkStatus(); }, clock_);
  policy::Policy policy;
  policy.posture = policy::Posture::kBump;
  policy.destinations.emplace_back().host = "docs.example.net";
  const auto leaf = issuer->Sign(*CheckLeaf("docs.example.net", policy));
  EXPECT_THAT(Import(leaf->chain_pem, leaf->key_pem->Reveal()),
              StatusSays(StatusCode::kFailedPrecondition, "not a CA"));
}

TEST_F(AuthorityTest, ImportRefusesAKeyThatOthersMayRead) {
  const auto made = Open();
  const std::string certificate = Write("in.crt", (*made)->CertificatePem());
  const std::string key = Write("in.key", *base::ReadFile(directory_ + "/ca.key"), 0644);
  EXPECT_THAT(Authority::Import({certificate, key}, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "chmod 600"));
}

}  // namespace
}  // namespace exeat::issuer
