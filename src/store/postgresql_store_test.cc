#include <cstdio>
#include <thread>
#include <vector>

#include "base/file.h"
#include "store/postgresql_schema.h"
#include "store/testing/postgres_fixture.h"

namespace exeat::store {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusIs;
using base::StatusSays;
using std::chrono::milliseconds;

class PostgresqlStore : public PostgresFixture {
 protected:
  std::string PasswordFile(const std::string& content) {
    const std::string path = directory_.path() + "/password";
    EXPECT_THAT(base::WriteFileAtomically(path, content, 0600), IsOk());
    return path;
  }
  base::Status OpenStatus(const std::string& url, const std::string& password_file = "") {
    return OpenPostgresql({.url = url, .password_file = password_file, .patience = kPatience})
        .status();
  }

  PrivateDirectory directory_;
};

TEST_F(PostgresqlStore, RefusesANewerSchemaAndNamesBothVersions) {
  Open();
  Sql("UPDATE exeat.store SET version = 99");
  EXPECT_THAT(OpenStatus(url_), StatusSays(StatusCode::kFailedPrecondition, "version 99"));
  EXPECT_THAT(OpenStatus(url_), StatusSays(StatusCode::kFailedPrecondition,
                                           fmt::format("up to {}", NewestPostgresqlSchema())));
}

TEST_F(PostgresqlStore, RefusesTheSchemaOfAnotherProgramAndLeavesItAlone) {
  Sql("CREATE SCHEMA exeat AUTHORIZATION edge; CREATE TABLE exeat.theirs (x int)");
  EXPECT_THAT(OpenStatus(url_), StatusSays(StatusCode::kFailedPrecondition, "another program's"));
  EXPECT_EQ(Sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'exeat'"), "1");
}

TEST_F(PostgresqlStore, TakesASchemaThatWasMadeForItByAnAdministrator) {
  Sql("CREATE SCHEMA exeat AUTHORIZATION edge; REVOKE CREATE ON DATABASE " + database_ +
      " FROM edge; ALTER DATABASE " + database_ + " OWNER TO super");
  EXPECT_THAT(Open()->PutRevocation(Row("a")), IsOk());
}

TEST_F(PostgresqlStore, SaysPermissionDeniedToARoleThatMayMakeNoSchema) {
  Sql("ALTER DATABASE " + database_ + " OWNER TO super");
  EXPECT_THAT(OpenStatus(url_), StatusSays(StatusCode::kPermissionDenied, "own the database"));
}

TEST_F(PostgresqlStore, IsMadeOnceWhenManyEdgesStartTogether) {
  std::vector<base::Status> opened(6);
  {
    std::vector<std::jthread> edges;
    for (base::Status& status : opened) {
      edges.emplace_back([&] { status = OpenStatus(url_); });
    }
  }
  for (const base::Status& status : opened) EXPECT_THAT(status, IsOk());
  EXPECT_EQ(Sql("SELECT count(*) FROM exeat.store"), "1");
}

TEST_F(PostgresqlStore, RefusesAServerThatDoesNotWaitForTheDisk) {
  for (const char* const value : {"off", "local", "remote_write"}) {
    Sql(fmt::format("ALTER DATABASE {} SET synchronous_commit = {}", database_, value));
    EXPECT_THAT(OpenStatus(url_), StatusSays(StatusCode::kFailedPrecondition,
                                             fmt::format("synchronous_commit is {}", value)));
  }
  Sql(fmt::format("ALTER DATABASE {} SET synchronous_commit = remote_apply", database_));
  EXPECT_THAT(OpenStatus(url_), IsOk());
  for (const char* const setting : {"fsync", "full_page_writes"}) {
    server_.Set(setting, "off");
    EXPECT_THAT(OpenStatus(url_),
                StatusSays(StatusCode::kFailedPrecondition, fmt::format("{} is off", setting)));
    server_.Set(setting, "on");
  }
  EXPECT_THAT(OpenStatus(url_), IsOk());
}

TEST_F(PostgresqlStore, ChecksALaterConnectionLikeTheFirst) {
  auto store = Open();
  Sql(fmt::format("ALTER DATABASE {} SET synchronous_commit = off", database_));
  EXPECT_THAT(store->PutRevocation(Row("a")), IsOk());  // pinned in the session that stands
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_THAT(store->PutRevocation(Row("b")), StatusIs(StatusCode::kFailedPrecondition));
  Sql(fmt::format("ALTER DATABASE {} RESET synchronous_commit", database_));
  EXPECT_THAT(store->PutRevocation(Row("b")), IsOk());
}

TEST_F(PostgresqlStore, ReadsThePasswordFromAFileAtEachConnection) {
  const std::string url = server_.TcpUrl("127.0.0.1", database_);
  const std::string file = PasswordFile("edge-pw\n");
  auto store = OpenPostgresql({.url = url, .password_file = file, .patience = kPatience});
  ASSERT_THAT(store, IsOk());
  Sql("ALTER ROLE edge PASSWORD 'changed'");
  PasswordFile("changed");
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exeat'");
  EXPECT_THAT((*store)->PutRevocation(Row("a")), IsOk());
  Sql("ALTER ROLE edge PASSWORD 'edge-pw'");
}

TEST_F(PostgresqlStore, NeverRepeatsAPassword) {
  const std::string url = server_.TcpUrl("127.0.0.1", database_);
  const base::Status wrong = OpenStatus(url, PasswordFile("hunter2"));
  EXPECT_THAT(wrong, StatusSays(StatusCode::kUnavailable, "password authentication failed"));
  EXPECT_EQ(wrong.ToString().find("hunter2"), std::string::npos);
  // A password that is part of what the server says anyway is taken out all the same.
  const base::Status common = OpenStatus(url, PasswordFile("authentication"));
  EXPECT_THAT(common, StatusSays(StatusCode::kUnavailable, "password * failed"));
  EXPECT_THAT(OpenStatus(url), StatusSays(StatusCode::kFailedPrecondition, "password_file"));
  const std::string file = PasswordFile("\n");
  EXPECT_THAT(OpenStatus(url, file), StatusSays(StatusCode::kFailedPrecondition, "no password"));
  ASSERT_EQ(chmod(PasswordFile("edge-pw").c_str(), 0644), 0);
  EXPECT_THAT(OpenStatus(url, file), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(OpenStatus(url, "/none"), StatusIs(StatusCode::kNotFound));
}

TEST_F(PostgresqlStore, VerifiesTheServersCertificateAndName) {
  const std::string file = PasswordFile("edge-pw");
  const auto with = [&](const std::string& host, const std::string& root) {
    return OpenStatus(server_.TcpUrl(host, database_) + "?sslmode=verify-full&sslrootcert=" + root,
                      file);
  };
  EXPECT_THAT(with("localhost", server_.CertificatePath()), IsOk());
  EXPECT_THAT(with("127.0.0.1", server_.CertificatePath()),
              StatusSays(StatusCode::kUnavailable, "does not match"));
  EXPECT_THAT(with("localhost", "/etc/ssl/certs/ca-certificates.crt"),
              StatusSays(StatusCode::kUnavailable, "certificate"));
}

TEST_F(PostgresqlStore, GivesUpOnALockThatAnotherHoldsAndRecovers) {
  auto store = Open(milliseconds(200));
  auto raw = Raw();
  ASSERT_THAT(raw->RunScript("BEGIN; LOCK TABLE exeat.change_counter"), IsOk());
  EXPECT_THAT(store->PutRevocation(Row("a")), StatusSays(StatusCode::kUnavailable, "lock"));
  EXPECT_THAT(store->InsertSession({.sid = "s"}), StatusSays(StatusCode::kUnavailable, "lock"));
  EXPECT_THAT(store->FindSession("s"), StatusIs(StatusCode::kNotFound));  // reads go on
  ASSERT_THAT(raw->RunScript("ROLLBACK"), IsOk());
  EXPECT_EQ(store->PutRevocations(std::vector{Row("a")}).value(), 1u);
}

TEST_F(PostgresqlStore, IsNotHeldUpForLongByAnEdgeThatStoppedInATransaction) {
  auto store = Open(milliseconds(4000));
  auto stopped = Raw();
  stopped->set_patience(milliseconds(1000));
  ASSERT_THAT(PrepareSession(*stopped), IsOk());
  ASSERT_THAT(stopped->RunScript("BEGIN; UPDATE exeat.change_counter SET last = last + 1"), IsOk());
  EXPECT_EQ(store->PutRevocations(std::vector{Row("a")}).value(), 1u);
  EXPECT_THAT(stopped->RunScript("COMMIT"), StatusIs(StatusCode::kUnavailable));
}

TEST_F(PostgresqlStore, SaysDeadlineExceededForASlowStatementAndChangesNothing) {
  auto store = Open(milliseconds(200));
  BeforeEachRevocation("PERFORM pg_sleep(60);");
  EXPECT_THAT(store->PutRevocation(Row("a")), StatusIs(StatusCode::kDeadlineExceeded));
  DisturbNoMore();
  EXPECT_TRUE(store->ListRevocations().value().empty());
  EXPECT_EQ(LastChange(), "0");
  EXPECT_THAT(store->PutRevocation(Row("a")), IsOk());
}

TEST_F(PostgresqlStore, SaysWhatAFailingServerSuffersFromAndChangesNothing) {
  auto store = Open();
  const std::pair<const char*, const char*> cases[] = {{"53100", "disk is full"},
                                                       {"53200", "out of connections or memory"},
                                                       {"40P01", "try again"},
                                                       {"XX001", "damaged"},
                                                       {"22000", "SQLSTATE 22000"}};
  for (const auto& [sqlstate, words] : cases) {
    BeforeEachRevocation(
        fmt::format("RAISE SQLSTATE '{}' USING MESSAGE = 'secret row';", sqlstate));
    const base::Status failed = store->PutRevocation(Row("a"));
    EXPECT_THAT(failed, StatusSays(StatusCode::kUnavailable, words));
    EXPECT_EQ(failed.ToString().find("secret row"), std::string::npos);
    DisturbNoMore();
  }
  EXPECT_TRUE(store->ListRevocations().value().empty());
  EXPECT_EQ(LastChange(), "0");
  EXPECT_EQ(store->PutRevocations(std::vector{Row("a")}).value(), 1u);
}

TEST_F(PostgresqlStore, KeepsNothingOfABulkThatFailsHalfway) {
  auto store = Open();
  std::vector<RevocationRow> rows;
  for (int i = 0; i < 25'000; ++i) rows.push_back(Row(fmt::format("{:06}", i)));
  // Its statements carry ten thousand rows each: the third one fails.
  BeforeEachRevocation(
      "IF (SELECT count(*) FROM exeat.revocation) >= 20000 THEN RAISE SQLSTATE '53100'; END IF;");
  EXPECT_THAT(store->PutRevocations(rows), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(Sql("SELECT count(*) FROM exeat.revocation"), "0");
  EXPECT_EQ(LastChange(), "0");
  DisturbNoMore();
  EXPECT_EQ(store->PutRevocations(rows).value(), 25'000u);
  EXPECT_EQ(Sql("SELECT count(*) FROM exeat.revocation"), "25000");
}

TEST_F(PostgresqlStore, RefusesWhatItCannotUnderstandInsteadOfSkippingIt) {
  auto store = Open();
  Sql("INSERT INTO exeat.revocation VALUES (77, 'x', '', 1, 0)");
  EXPECT_THAT(store->ListRevocations(), StatusIs(StatusCode::kUnavailable));
  Sql("INSERT INTO exeat.session VALUES ('s', '', '', '[1]', 1, 9)");
  EXPECT_THAT(store->FindSession("s"), StatusSays(StatusCode::kUnavailable, "damaged"));
  EXPECT_THAT(store->ListSessions(0), StatusSays(StatusCode::kUnavailable, "damaged"));
  Sql("DELETE FROM exeat.change_counter");
  EXPECT_THAT(store->PutRevocation(Row("a")), StatusSays(StatusCode::kUnavailable, "counter"));
  EXPECT_THAT(store->ReadAll(0, {}), StatusSays(StatusCode::kUnavailable, "counter"));
}

TEST_F(PostgresqlStore, PrunesNothingThatTheDatabasesClockCallsAlive) {
  auto store = Open();
  const std::int64_t now = std::atoll(Sql("SELECT extract(epoch FROM now())::bigint").c_str());
  RevocationRow alive = Row("alive");
  alive.expires_at = now + 3600;
  ASSERT_THAT(store->PutRevocation(alive), IsOk());
  ASSERT_THAT(store->InsertSession({.sid = "alive", .expires_at = now + 3600}), IsOk());
  EXPECT_TRUE(store->DeleteEnded(now + 7200).value().empty());
  EXPECT_EQ(store->ListRevocations().value(), std::vector{alive});
  EXPECT_THAT(store->FindSession("alive"), IsOk());
}

TEST_F(PostgresqlStore, FindsNoServerWhereThereIsNone) {
  const std::string url = fmt::format("postgresql://edge@/d?host={}", directory_.path());
  EXPECT_THAT(OpenStatus(url), StatusSays(StatusCode::kUnavailable, "no connection"));
}

}  // namespace
}  // namespace exeat::store
