#include "session/signing_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "session/jwk_set.h"
#include "session/testing/token_forge.h"
#include "session/verifier.h"

namespace exeat::session {
namespace {

namespace fs = std::filesystem;
using base::StatusCode;
using base::StatusSays;

constexpr base::UnixSeconds kAlways = std::numeric_limits<base::UnixSeconds>::max();

class SigningKeysTest : public testing::Test {
 protected:
  SigningKeysTest() {
    std::string pattern = testing::TempDir() + "exeat-keys-XXXXXX";
    root_ = mkdtemp(pattern.data());
    directory_ = root_ + "/keys";
  }
  ~SigningKeysTest() override { fs::remove_all(root_); }

  std::unique_ptr<SigningKeys> Open() const {
    auto opened = SigningKeys::Open(directory_, clock_);
    EXPECT_THAT(opened, base::IsOk());
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  Claims Good() const { return SampleClaims(clock_.UnixNow()); }
  bool Verifies(const SigningKeys& keys, const std::string& token) const {
    return (*Verifier::Make({"acme-dev"}, keys.Jwks()))->Verify(token, clock_.UnixNow()).ok();
  }
  std::vector<std::string> KeyFiles() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.path().extension() == ".pem") files.push_back(entry.path());
    }
    return files;
  }

  base::FakeClock clock_;
  std::string root_;
  std::string directory_;
};

TEST_F(SigningKeysTest, MakesAPrivateKeyAtFirstStartAndSignsWithItAfterARestart) {
  const std::string jwks = Open()->Jwks();
  ASSERT_EQ(KeyFiles().size(), 1U);
  struct stat info{};
  ASSERT_EQ(stat(KeyFiles()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  ASSERT_EQ(stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
  const auto keys = Open();
  EXPECT_EQ(keys->Jwks(), jwks);
  EXPECT_TRUE(Verifies(*keys, *keys->Sign(Good())));
}

TEST_F(SigningKeysTest, SignsTokensWithExactlyAlgKidAndTyp) {
  const auto keys = Open();
  const auto token = keys->Sign(Good());
  ASSERT_THAT(token, base::IsOk());
  const auto header =
      nlohmann::json::parse(*base::Base64UrlDecode(token->substr(0, token->find('.'))));
  const auto jwk = nlohmann::json::parse(keys->Jwks())["keys"][0];
  EXPECT_EQ(header, (nlohmann::json{{"alg", "ES256"}, {"kid", jwk["kid"]}, {"typ", kTokenType}}));
  EXPECT_EQ(jwk["use"], "sig");
  EXPECT_FALSE(jwk.contains("d"));
}

TEST_F(SigningKeysTest, RotatesWithoutAGap) {
  const auto keys = Open();
  const std::string before = *keys->Sign(Good());
  ASSERT_THAT(keys->Rotate(), base::IsOk());
  const std::string after = *keys->Sign(Good());
  EXPECT_NE(before.substr(0, before.find('.')), after.substr(0, after.find('.')));
  EXPECT_TRUE(Verifies(*keys, before));
  EXPECT_TRUE(Verifies(*keys, after));
  const auto again = Open();
  EXPECT_EQ(again->Jwks(), keys->Jwks());
  EXPECT_TRUE(Verifies(*again, before));
  const std::string restarted = *again->Sign(Good());
  EXPECT_EQ(restarted.substr(0, restarted.find('.')), after.substr(0, after.find('.')));
}

TEST_F(SigningKeysTest, WithdrawsOnlyKeysRetiredBeforeTheGivenTime) {
  const auto keys = Open();
  const std::string first = *keys->Sign(Good());
  ASSERT_THAT(keys->Rotate(), base::IsOk());
  clock_.Advance(std::chrono::minutes(10));
  const std::string second = *keys->Sign(Good());
  ASSERT_THAT(keys->Rotate(), base::IsOk());
  const std::string third = *keys->Sign(Good());
  EXPECT_EQ(KeyFiles().size(), 3U);

  ASSERT_THAT(keys->WithdrawRetired(clock_.UnixNow() - 600), base::IsOk());
  EXPECT_TRUE(Verifies(*keys, first)) << "retired exactly then, not before";
  ASSERT_THAT(Open()->WithdrawRetired(clock_.UnixNow()), base::IsOk());
  const auto again = Open();
  EXPECT_FALSE(Verifies(*again, first));
  EXPECT_TRUE(Verifies(*again, second));
  ASSERT_THAT(again->WithdrawRetired(kAlways), base::IsOk());
  EXPECT_FALSE(Verifies(*again, second));
  EXPECT_TRUE(Verifies(*again, third));
  EXPECT_EQ(KeyFiles().size(), 1U);
  ASSERT_THAT(again->WithdrawRetired(kAlways), base::IsOk());
  EXPECT_TRUE(Verifies(*Open(), third));
}

TEST_F(SigningKeysTest, RefusesToStartWithoutAKeyThatItsStateNames) {
  (void)Open();
  const std::string path = KeyFiles()[0];
  const std::string pem = *base::ReadFile(path);
  fs::remove(path);
  EXPECT_THAT(SigningKeys::Open(directory_, clock_),
              StatusSays(StatusCode::kFailedPrecondition, path));
  EXPECT_TRUE(KeyFiles().empty()) << "nothing may be made in its place";
  ASSERT_THAT(base::WriteFileAtomically(path, pem, 0600), base::IsOk());
  EXPECT_THAT(SigningKeys::Open(directory_, clock_), base::IsOk());
}

TEST_F(SigningKeysTest, RefusesAKeyFileThatOthersMayRead) {
  (void)Open();
  ASSERT_EQ(chmod(KeyFiles()[0].c_str(), 0644), 0);
  EXPECT_THAT(SigningKeys::Open(directory_, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "chmod 600"));
}

TEST_F(SigningKeysTest, RefusesADirectoryThatOthersMayEnter) {
  (void)Open();
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  EXPECT_THAT(SigningKeys::Open(directory_, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "chmod 700"));
}

TEST_F(SigningKeysTest, RefusesAKeyThatIsNotTheOneItsNameSays) {
  (void)Open();
  const auto other = crypto::PrivateKey::Generate();
  ASSERT_THAT(base::WriteFileAtomically(KeyFiles()[0], other->ToPem()->Reveal(), 0600),
              base::IsOk());
  EXPECT_THAT(SigningKeys::Open(directory_, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "another key"));
}

TEST_F(SigningKeysTest, RefusesABrokenState) {
  (void)Open();
  for (const char* text : {"", "{}", "[]", R"({"signing":"../x","retired":{}})",
                           R"({"signing":"a","signing":"a","retired":{}})"}) {
    ASSERT_THAT(base::WriteFileAtomically(directory_ + "/keys.json", text, 0600), base::IsOk());
    EXPECT_THAT(SigningKeys::Open(directory_, clock_),
                StatusSays(StatusCode::kFailedPrecondition, "keys.json"))
        << text;
  }
}

TEST_F(SigningKeysTest, TakesUpTheKeyOfAFirstStartThatWasCutShort) {
  const std::string jwks = Open()->Jwks();
  fs::remove(directory_ + "/keys.json");
  EXPECT_EQ(Open()->Jwks(), jwks);
}

TEST_F(SigningKeysTest, DoesNotGuessAmongSeveralKeysWithoutAState) {
  ASSERT_THAT(Open()->Rotate(), base::IsOk());
  fs::remove(directory_ + "/keys.json");
  EXPECT_THAT(SigningKeys::Open(directory_, clock_),
              StatusSays(StatusCode::kFailedPrecondition, "keys.json"));
}

TEST_F(SigningKeysTest, IgnoresAKeyThatARotationLeftBeforeItWasUsed) {
  const std::string jwks = Open()->Jwks();
  const auto stray = crypto::PrivateKey::Generate();
  const std::string name = directory_ + "/" + std::string(32, 'a') + ".pem";
  ASSERT_THAT(base::WriteFileAtomically(name, stray->ToPem()->Reveal(), 0600), base::IsOk());
  EXPECT_EQ(Open()->Jwks(), jwks);
}

TEST_F(SigningKeysTest, KeepsSigningWithTheOldKeyWhenARotationCannotBeStored) {
  if (geteuid() == 0) {
    // Root writes into any directory, so take the directory itself away.
    const auto keys = Open();
    fs::rename(directory_, directory_ + ".away");
    const std::string jwks = keys->Jwks();
    EXPECT_FALSE(keys->Rotate().ok());
    EXPECT_EQ(keys->Jwks(), jwks);
    EXPECT_THAT(keys->Sign(Good()), base::IsOk());
    return;
  }
  const auto keys = Open();
  const std::string jwks = keys->Jwks();
  ASSERT_EQ(chmod(directory_.c_str(), 0500), 0);
  EXPECT_FALSE(keys->Rotate().ok());
  ASSERT_EQ(chmod(directory_.c_str(), 0700), 0);
  EXPECT_EQ(keys->Jwks(), jwks);
  EXPECT_THAT(keys->Sign(Good()), base::IsOk());
}

TEST_F(SigningKeysTest, RefusesToSignClaimsThatWouldNotVerify) {
  const auto keys = Open();
  const auto refuses = [&](auto change) {
    Claims claims = Good();
    change(claims);
    return keys->Sign(claims).status().code() == StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refuses([](Claims&) {}));
  EXPECT_FALSE(refuses([](Claims& c) { c.exp = c.iat + 3600; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.exp = c.iat + 3601; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.exp = c.iat; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.iat = -1; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.sid.clear(); }));
  EXPECT_TRUE(refuses([](Claims& c) { c.sub = "a b"; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.jti = std::string(129, 'j'); }));
  EXPECT_TRUE(refuses([](Claims& c) { c.iss = "a\"b"; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.grants = {"a,b"}; }));
  EXPECT_TRUE(refuses([](Claims& c) { c.grants.assign(65, "g"); }));
  EXPECT_TRUE(refuses([](Claims& c) { c.grants.assign(40, std::string(100, 'g')); }));
}

TEST(SessionIds, AreLegalClaimTextAndDoNotRepeat) {
  const auto sid = NewSessionId();
  const auto jti = NewTokenId();
  ASSERT_THAT(sid, base::IsOk());
  EXPECT_TRUE(IsClaimText(*sid));
  EXPECT_GE(sid->size(), 26U);
  EXPECT_NE(*sid, *jti);
}

}  // namespace
}  // namespace exeat::session
