#include "store/postgresql_address.h"

#include <map>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::store {
namespace {

using base::StatusCode;
using base::StatusSays;

std::map<std::string, std::string> Parameters(const std::string& url) {
  const auto address = ParsePostgresqlUrl(url);
  EXPECT_THAT(address, base::IsOk()) << url;
  if (!address.ok()) return {};
  return {address->parameters.begin(), address->parameters.end()};
}

TEST(PostgresqlUrl, IsReadIntoParametersAndFilledUp) {
  const std::map<std::string, std::string> expected = {
      {"user", "edge"},           {"host", "db.example"},
      {"port", "5432"},           {"dbname", "exeat"},
      {"sslmode", "verify-full"}, {"sslrootcert", "/etc/ssl/certs/ca-certificates.crt"}};
  EXPECT_EQ(Parameters("postgresql://edge@db.example/exeat"), expected);
  EXPECT_EQ(Parameters("postgres://edge@db.example/exeat"), expected);
  EXPECT_EQ(ParsePostgresqlUrl("postgresql://edge@db.example/exeat")->shown,
            "postgresql db.example:5432/exeat");
}

TEST(PostgresqlUrl, VerifiesTheServerUnlessItIsOnThisMachine) {
  for (const char* const local :
       {"postgresql://u@localhost/d", "postgresql://u@127.0.0.1/d", "postgresql://u@[::1]/d",
        "postgresql:///d?user=u", "postgresql://u@%2Fvar%2Frun/d", "postgresql://u@/d?host=/run",
        "postgresql://u@localhost,127.0.0.2/d"}) {
    EXPECT_EQ(Parameters(local)["sslmode"], "disable") << local;
  }
  for (const char* const remote :
       {"postgresql://u@10.0.0.1/d", "postgresql://u@localhost.example/d",
        "postgresql://u@127.0.0.1.example/d", "postgresql://u@localhost,db.example/d",
        "postgresql://u@db.example,localhost/d"}) {
    EXPECT_EQ(Parameters(remote)["sslmode"], "verify-full") << remote;
  }
}

TEST(PostgresqlUrl, MayAskForAnotherWayToVerifyButNotForChance) {
  EXPECT_EQ(Parameters("postgresql://u@db/d?sslmode=verify-ca&sslrootcert=/ca.pem")["sslrootcert"],
            "/ca.pem");
  EXPECT_EQ(Parameters("postgresql://u@db/d?sslmode=disable")["sslmode"], "disable");
  for (const char* const mode : {"prefer", "allow", "maybe"}) {
    EXPECT_THAT(ParsePostgresqlUrl(std::string("postgresql://u@db/d?sslmode=") + mode),
                StatusSays(StatusCode::kInvalidArgument, "sslmode"));
  }
}

TEST(PostgresqlUrl, WithAPasswordIsRefusedWithoutRepeatingIt) {
  for (const char* const url :
       {"postgresql://u:hunter2@db/d", "postgresql://u@db/d?password=hunter2",
        "postgresql://u:hunter2@db:port/d", "postgresql://u:hunter2@[db/d",
        "postgresql://u@db/d?hunter2", "hunter2", "host=db password=hunter2"}) {
    const auto address = ParsePostgresqlUrl(url);
    EXPECT_THAT(address, base::StatusIs(StatusCode::kInvalidArgument)) << url;
    EXPECT_EQ(address.status().ToString().find("hunter2"), std::string::npos) << url;
  }
  EXPECT_THAT(ParsePostgresqlUrl("postgresql://u:hunter2@db/d"),
              StatusSays(StatusCode::kInvalidArgument, "password_file"));
}

TEST(PostgresqlUrl, SaysWhatIsMissingOrTooMuch) {
  const auto refused = [](const std::string& url, const char* part) {
    EXPECT_THAT(ParsePostgresqlUrl(url), StatusSays(StatusCode::kInvalidArgument, part)) << url;
  };
  refused("postgresql://db/d", "names no user");
  refused("postgresql://u@db", "names no database");
  refused("postgresql://u@db/d?options=-csynchronous_commit%3Doff", "options");
  refused("postgresql://u@db/d?passfile=/x", "passfile");
  refused("postgresql://u@db/d?hostaddr=10.0.0.1", "hostaddr");
  refused("mysql://u@db/d", "postgresql://USER@HOST/DATABASE");
  refused("", "postgresql://USER@HOST/DATABASE");
}

}  // namespace
}  // namespace exeat::store
