// A database of its own for each test, on the tests' PostgreSQL server.
#pragma once

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/secret.h"
#include "base/testing/status_matchers.h"
#include "fmt/format.h"
#include "gtest/gtest.h"
#include "store/postgresql.h"
#include "store/postgresql_address.h"
#include "store/store.h"
#include "store/testing/postgres_server.h"

namespace exeat::store {

class PostgresFixture : public testing::Test {
 protected:
  ~PostgresFixture() override {
    server_.Run("postgres", fmt::format("DROP DATABASE {} WITH (FORCE)", database_));
  }

  // Long enough for a loaded machine, where nothing is meant to time out.
  static constexpr std::chrono::milliseconds kPatience{10'000};

  std::unique_ptr<Store> Open(std::chrono::milliseconds patience = kPatience) {
    auto store = OpenPostgresql({.url = url_, .patience = patience});
    EXPECT_THAT(store, base::IsOk());
    return store.ok() ? std::move(store).value() : nullptr;
  }
  // A connection without any limits, as another program would have.
  std::unique_ptr<Connection> Raw() {
    return Connection::Open(ParsePostgresqlUrl(url_).value(), base::Secret(), kPatience).value();
  }
  std::string Sql(const std::string& sql) { return server_.Run(database_, sql); }

  // Makes every insertion of a revocation run `body` first.
  void BeforeEachRevocation(const std::string& body) {
    Sql(
        fmt::format("CREATE FUNCTION public.disturb() RETURNS trigger LANGUAGE plpgsql AS $$"
                    " BEGIN {} RETURN NEW; END $$",
                    body));
    Sql("CREATE TRIGGER disturb BEFORE INSERT ON exeat.revocation"
        " FOR EACH STATEMENT EXECUTE FUNCTION public.disturb()");
  }
  void DisturbNoMore() { Sql("DROP FUNCTION public.disturb CASCADE"); }

  // The server's process behind `store`, the only one of this database. Never 0, which kill(2)
  // takes for this program and all that stands beside it.
  pid_t Backend(Store& store) {
    while (true) {
      (void)store.FindSession("none");
      const std::string pid =
          Sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'exeat'"
              " AND datname = current_database()");
      if (!pid.empty()) return std::stoi(pid);
    }
  }
  // Waits until such a process waits for what `type` names in pg_stat_activity.
  void AwaitWaiting(const std::string& type) {
    const std::string count = fmt::format(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exeat'"
        " AND wait_event_type = '{}' AND state = 'active'",
        type);
    while (Sql(count) == "0") {
    }
  }
  std::string LastChange() { return Sql("SELECT last FROM exeat.change_counter"); }

  static RevocationRow Row(const std::string& id) { return {RevokedKind::kSession, id, "", 1, 0}; }

  PostgresServer& server_ = PostgresServer::Shared();
  std::string database_ = server_.NewDatabase();
  std::string url_ = server_.Url(database_);
};

}  // namespace exeat::store
