#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "policy/document.h"
#include "policy/load.h"
#include "policy/reader.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Read {
  std::optional<SharedStore> store;
  std::string mistakes;
};

// The section by itself.
Read ReadText(const std::string& text) {
  const auto parsed = ParseDocument(text);
  const Node* root = std::get_if<Node>(&parsed);
  if (root == nullptr) return {std::nullopt, "not YAML"};
  Reader reader("exeat.yaml", "/etc/exeat");
  Read read{ReadStore(reader, {root, ""}), ""};
  for (const Mistake& mistake : reader.TakeMistakes()) read.mistakes += mistake.ToString();
  return read;
}

TEST(LoadStore, IsSqliteWhenNothingOrSqliteIsWritten) {
  for (const char* const text : {"version: 1\n", "store: sqlite\n"}) {
    EXPECT_FALSE(ReadText(text).store) << text;
    EXPECT_EQ(ReadText(text).mistakes, "") << text;
  }
}

TEST(LoadStore, TakesAUrlAloneOrWithTheFileOfItsPassword) {
  const Read alone = ReadText("store: postgresql://edge@db.example/exeat\n");
  EXPECT_EQ(alone.mistakes, "");
  ASSERT_TRUE(alone.store);
  EXPECT_EQ(*alone.store, (SharedStore{"postgresql://edge@db.example/exeat", "", 0}));
  const Read both =
      ReadText("store:\n  url: postgres://edge@db/exeat?sslmode=verify-ca\n  password_file: pw\n");
  EXPECT_EQ(both.mistakes, "");
  ASSERT_TRUE(both.store);
  EXPECT_EQ(both.store->url, "postgres://edge@db/exeat?sslmode=verify-ca");
  EXPECT_EQ(both.store->password_file, "/etc/exeat/pw");
  EXPECT_EQ(both.store->password_line, 3);
  EXPECT_TRUE(ReadText("store: postgresql:///exeat?user=edge&host=/run/postgresql\n").store);
}

TEST(LoadStore, RefusesAPasswordInTheUrlWithoutPrintingIt) {
  for (const char* const url :
       {"postgresql://edge:hunter2@db/exeat", "postgresql://edge@db/exeat?password=hunter2",
        "postgresql://edge@db/exeat?sslmode=disable&password=hunter2",
        "postgres://edge:hunter2@db"}) {
    const Read read = ReadText(std::string("store: ") + url + "\n");
    EXPECT_FALSE(read.store) << url;
    EXPECT_THAT(read.mistakes, HasSubstr("exeat.yaml:1: store: holds a password")) << url;
    EXPECT_THAT(read.mistakes, HasSubstr("password_file")) << url;
    EXPECT_THAT(read.mistakes, Not(HasSubstr("hunter2"))) << url;
  }
}

TEST(LoadStore, NamesEveryOtherMistakeWithoutPrintingTheUrl) {
  const std::pair<const char*, const char*> cases[] = {
      {"store: mysql://hunter2@db/exeat\n", "store: expected sqlite, postgresql://"},
      {"store: postgresql://db/hunter2\n", "store: names no user"},
      {"store: postgresql://edge@hunter2\n", "store: names no database"},
      {"store: postgresql://edge@db/exeat?hunter2=1\n", "store: has a parameter that is none of"},
      {"store: postgresql://edge@db/exeat?p%61ssword=hunter2\n", "none of: host"},
      {"store: postgresql://edge@db/exeat?options=hunter2\n", "none of: host"},
      {"store: {url: sqlite}\n", "store.url: expected postgresql://"},
      {"store: {password_file: hunter2}\n", "store.url: is missing"},
      {"store: {url: 'postgresql://edge@db/exeat', password: hunter2}\n",
       "store.password: unknown"},
      {"store: [hunter2]\n", "store: expected text"},
      {"store: {url: 'postgresql://edge@db/exeat', password_file: '~/hunter2'}\n",
       "store.password_file"},
  };
  for (const auto& [text, words] : cases) {
    const Read read = ReadText(text);
    EXPECT_THAT(read.mistakes, HasSubstr(words)) << text;
    EXPECT_THAT(read.mistakes, Not(HasSubstr("//hunter2"))) << text;
    EXPECT_THAT(read.mistakes, Not(HasSubstr("=hunter2"))) << text;
  }
}

TEST(LoadStore, OfManyEdgesNeedsACaOfTheirOwn) {
  const std::string text =
      "version: 1\ndeployment: d\nlisteners: {proxy: 127.0.0.1:0}\n"
      "store: postgresql://edge@db/exeat\n";
  const LoadResult without = Load(text, "exeat.yaml", "/etc/exeat");
  ASSERT_EQ(without.mistakes.size(), 1U);
  EXPECT_THAT(without.mistakes[0].ToString(), HasSubstr("exeat.yaml:4: store: edges that share"));
  EXPECT_THAT(without.mistakes[0].ToString(), HasSubstr("ca: {certificate: PATH, key: PATH}"));
  const LoadResult with =
      Load(text + "ca: {certificate: ca.pem, key: ca.key}\n", "exeat.yaml", "/etc/exeat");
  EXPECT_TRUE(with.ok());
  EXPECT_TRUE(with.policy.shared_store);
}

TEST(CheckStoreFiles, ReadsThePasswordLikeACredential) {
  Policy policy;
  policy.upstream_trust = "/etc/ssl/certs/ca-certificates.crt";
  policy.shared_store = SharedStore{"postgresql://edge@db/exeat", "/none/password", 7};
  std::string all;
  for (const Mistake& mistake : CheckFiles(policy, "exeat.yaml")) all += mistake.ToString();
  EXPECT_THAT(all, HasSubstr("exeat.yaml:7: store.password_file: /none/password"));
}

TEST(DiffStore, SaysThatAnotherStoreNeedsARestart) {
  Policy before;
  Policy after;
  after.shared_store = SharedStore{"postgresql://edge@db/exeat", "/pw", 0};
  EXPECT_EQ(RestartKeys(before, after), (std::vector<std::string>{"store", "store.password_file"}));
  EXPECT_THAT(Diff(before, after),
              testing::Contains("~ store: sqlite -> postgresql://edge@db/exeat"));
  EXPECT_TRUE(RestartKeys(after, after).empty());
}

TEST(WithOwnKeys, LeavesNothingOfAnotherEdgeThatChangesAtARestartOnly) {
  Policy shared;
  shared.deployment = "d";
  shared.state_dir = "/there";
  shared.audit_dir = "/there/audit";
  shared.ca = ImportedCa{"/there/ca.pem", "/there/ca.key", 1, 2};
  shared.listeners.proxy = SocketAddress::Parse("192.0.2.1:3128");
  shared.listeners.transparent = SocketAddress::Parse("192.0.2.1:3129");
  shared.shared_store = SharedStore{"postgresql://there@db/exeat", "/there/pw", 0};
  shared.posture = Posture::kBump;
  Policy own;
  own.deployment = "d";
  own.state_dir = "/here";
  own.audit_dir = "/here/audit";
  own.ca = ImportedCa{"/here/ca.pem", "/here/ca.key", 1, 2};
  own.listeners.proxy = SocketAddress::Parse("127.0.0.1:3128");
  own.shared_store = SharedStore{"postgresql://here@db/exeat", "", 0};
  ASSERT_THAT(RestartKeys(own, shared), testing::SizeIs(8));
  const Policy run = WithOwnKeys(shared, own);
  EXPECT_TRUE(RestartKeys(own, run).empty());
  EXPECT_EQ(run.posture, Posture::kBump);
}

}  // namespace
}  // namespace exeat::policy
