#include "issuer/issuer.h"

#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "crypto/pem.h"
#include "crypto/testing/chain_check.h"
#include "gtest/gtest.h"

namespace exeat::issuer {
namespace {

namespace fs = std::filesystem;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;

policy::Policy PolicyWith(const std::string& host) {
  policy::Policy policy;
  policy.deployment = "acme-dev";
  policy.posture = policy::Posture::kBump;
  policy::Destination destination;
  destination.name = "docs";
  destination.host = host;
  destination.ports = {443};
  policy.destinations.push_back(destination);
  return policy;
}

class IssuerTest : public testing::Test {
 protected:
  IssuerTest() {
    std::string pattern = testing::TempDir() + "exeat-ca-XXXXXX";
    root_ = mkdtemp(pattern.data());
    directory_ = root_ + "/ca";
  }
  ~IssuerTest() override { fs::remove_all(root_); }

  std::unique_ptr<Authority> OpenAuthority() const {
    auto opened = Authority::Open(directory_, "acme-dev", clock_);
    EXPECT_THAT(opened, base::IsOk());
    return *std::move(opened);
  }
  std::unique_ptr<Issuer> Make(const Authority& authority, Issuer::Options options = {}) {
    auto made = Issuer::Make(
        authority, options,
        [this](std::string_view name, std::string_view serial) {
          intents_.emplace_back(name, serial);
          return record_status_;
        },
        clock_);
    EXPECT_THAT(made, base::IsOk());
    return *std::move(made);
  }
  static CheckedLeaf Checked(const std::string& host = "docs.example.net") {
    return *CheckLeaf(host, PolicyWith(host));
  }
  std::string Check(const Leaf& leaf, const Authority& authority) const {
    return crypto::CheckChain(leaf.chain_pem, authority.CertificatePem(), leaf.name,
                              clock_.UnixNow());
  }

  base::FakeClock clock_;
  std::string root_;
  std::string directory_;
  base::Status record_status_;
  std::vector<std::pair<std::string, std::string>> intents_;
};

TEST_F(IssuerTest, SignsALeafThatStrictClientsAccept) {
  const auto authority = OpenAuthority();
  const auto leaf = Make(*authority)->Sign(Checked());
  ASSERT_THAT(leaf, base::IsOk());
  EXPECT_EQ(leaf->name, "docs.example.net");
  EXPECT_EQ(Check(*leaf, *authority), "ok");
  EXPECT_EQ(leaf->not_before, clock_.UnixNow() - 300);
  EXPECT_EQ(leaf->not_after, clock_.UnixNow() + 86400);
  const auto facts = crypto::ParseCertificate(leaf->chain_pem);
  ASSERT_THAT(facts, base::IsOk());
  EXPECT_EQ(facts->not_before, leaf->not_before);
  EXPECT_EQ(facts->not_after, leaf->not_after);
  const auto key = crypto::PrivateKey::FromPem(leaf->key_pem->Reveal());
  ASSERT_THAT(key, base::IsOk());
  EXPECT_EQ(*key->SpkiDer(), facts->spki_der);
}

TEST_F(IssuerTest, RecordsTheIntentWithNameAndSerialBeforeItSigns) {
  const auto authority = OpenAuthority();
  const auto leaf = Make(*authority)->Sign(Checked());
  ASSERT_EQ(intents_.size(), 1U);
  EXPECT_EQ(intents_[0].first, "docs.example.net");
  EXPECT_EQ(intents_[0].second, leaf->serial_hex);
  const crypto::X509Ptr x509 = crypto::ReadX509(leaf->chain_pem);
  const crypto::BnPtr serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509.get()), nullptr));
  char* hex = BN_bn2hex(serial.get());
  EXPECT_STRCASEEQ(hex, leaf->serial_hex.c_str());
  OPENSSL_free(hex);
}

TEST_F(IssuerTest, SignsNothingWhenTheIntentCannotBeRecorded) {
  const auto authority = OpenAuthority();
  const auto issuer = Make(*authority);
  record_status_ = base::MakeStatus(StatusCode::kResourceExhausted, "disk full");
  EXPECT_THAT(issuer->Sign(Checked()), StatusSays(StatusCode::kUnavailable, "disk full"));
}

TEST_F(IssuerTest, GivesEachLeafItsOwnPositiveSerial) {
  const auto authority = OpenAuthority();
  const auto issuer = Make(*authority);
  std::set<std::string> serials;
  for (int i = 0; i < 200; ++i) {
    const auto leaf = issuer->Sign(Checked());
    EXPECT_TRUE(serials.insert(leaf->serial_hex).second);
    EXPECT_EQ(leaf->serial_hex.size(), 32U);
    EXPECT_LT(leaf->serial_hex[0], '8');
  }
}

TEST_F(IssuerTest, SharesOneKeyWithinAnEpochAndTakesAnotherAfterIt) {
  const auto authority = OpenAuthority();
  const auto issuer = Make(*authority, {.key_epoch = std::chrono::hours(1)});
  const auto first = issuer->Sign(Checked());
  clock_.Advance(std::chrono::minutes(59));
  clock_.StepWall(std::chrono::minutes(-90));
  const auto second = issuer->Sign(Checked("api.example.net"));
  EXPECT_EQ(first->key_pem, second->key_pem);
  clock_.Advance(std::chrono::minutes(1));
  const auto third = issuer->Sign(Checked());
  EXPECT_NE(first->key_pem->Reveal(), third->key_pem->Reveal());
  EXPECT_EQ(Check(*third, *authority), "ok");
}

TEST_F(IssuerTest, MakesAKeyForEachLeafWhenTheEpochIsZero) {
  const auto authority = OpenAuthority();
  const auto issuer = Make(*authority, {.key_epoch = std::chrono::seconds(0)});
  const auto first = issuer->Sign(Checked());
  const auto second = issuer->Sign(Checked());
  EXPECT_NE(first->key_pem->Reveal(), second->key_pem->Reveal());
  EXPECT_EQ(Check(*first, *authority), "ok");
  EXPECT_EQ(Check(*second, *authority), "ok");
}

TEST_F(IssuerTest, NeverUsesTheCaKeyInALeaf) {
  const auto authority = OpenAuthority();
  const auto leaf = Make(*authority)->Sign(Checked());
  EXPECT_NE(crypto::ParseCertificate(leaf->chain_pem)->spki_der,
            crypto::ParseCertificate(authority->CertificatePem())->spki_der);
  EXPECT_NE(leaf->key_pem->Reveal(), *base::ReadFile(directory_ + "/ca.key"));
}

TEST_F(IssuerTest, HoldsLeavesToTheEndOfTheCa) {
  const auto authority = OpenAuthority();
  const auto issuer = Make(*authority);
  const auto end = crypto::ParseCertificate(authority->CertificatePem())->not_after;
  clock_.StepWall(std::chrono::seconds(end - 60 - clock_.UnixNow()));
  EXPECT_EQ(issuer->Sign(Checked())->not_after, end);
  clock_.StepWall(std::chrono::seconds(60));
  EXPECT_THAT(issuer->Sign(Checked()), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(IssuerTest, SignsOnManyThreadsAtOnce) {
  const auto authority = OpenAuthority();
  const auto issuer = *Issuer::Make(
      *authority, {.key_epoch = std::chrono::seconds(1)},
      [](std::string_view, std::string_view) { return absl::OkStatus(); }, clock_);
  std::vector<int> bad(3, 0);
  std::vector<std::jthread> threads;
  for (int& count : bad) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30; ++i) {
        const auto leaf = issuer->Sign(Checked());
        count += leaf.ok() && Check(*leaf, *authority) == "ok" ? 0 : 1;
        clock_.Advance(std::chrono::milliseconds(100));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(bad, std::vector<int>(3, 0));
}

TEST_F(IssuerTest, RefusesOptionsOutsideTheirBounds) {
  const auto authority = OpenAuthority();
  const auto refuses = [&](Issuer::Options options) {
    const auto ok = [](std::string_view, std::string_view) { return absl::OkStatus(); };
    return Issuer::Make(*authority, options, ok, clock_).status().code() ==
           StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refuses({.lifetime = std::chrono::minutes(15)}));
  EXPECT_TRUE(refuses({.lifetime = std::chrono::seconds(899)}));
  EXPECT_FALSE(refuses({.lifetime = std::chrono::hours(24)}));
  EXPECT_TRUE(refuses({.lifetime = std::chrono::seconds(86401)}));
  EXPECT_TRUE(refuses({.key_epoch = std::chrono::seconds(-1)}));
  EXPECT_THAT(Issuer::Make(*authority, {}, nullptr, clock_),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(CheckLeaf, RefusesNamesThatAreNotCanonical) {  // D4, D7
  const policy::Policy policy = PolicyWith("docs.example.net");
  for (const std::string& name :
       {std::string(""), std::string("Docs.example.net"), std::string("docs.example.net."),
        std::string("*.example.net"), std::string("*"), std::string("do_cs.example.net"),
        std::string("127.0.0.1"), std::string("[::1]"), std::string("docs.example.net\0", 17),
        std::string("docs\n.example.net"), std::string(254, 'a'),
        std::string("docs\xef\xbc\x8e") + "example.net"}) {
    EXPECT_THAT(CheckLeaf(name, policy), StatusIs(StatusCode::kInvalidArgument)) << name;
  }
}

TEST(CheckLeaf, RefusesWhatThePolicyDoesNotListOrDoesNotDecrypt) {  // D13
  policy::Policy policy = PolicyWith("docs.example.net");
  EXPECT_THAT(CheckLeaf("docs.example.net", policy), base::IsOk());
  for (const char* name : {"example.net", "x.docs.example.net", "docs-example.net",
                           "docs.example.net.evil", "xdocs.example.net"}) {
    EXPECT_THAT(CheckLeaf(name, policy), StatusIs(StatusCode::kPermissionDenied)) << name;
  }
  policy.posture = policy::Posture::kDenyAll;
  EXPECT_THAT(CheckLeaf("docs.example.net", policy), StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(CheckLeaf("docs.example.net", policy::Policy()),
              StatusIs(StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace exeat::issuer
