#include "store/testing/store_contract.h"

#include "store/testing/change_contract.h"
#include "store/testing/memory_store.h"
#include "store/testing/postgres_server.h"
#include "store/testing/private_directory.h"

namespace exeat::store {
namespace {

class MemoryHarness final : public StoreHarness {
 public:
  Store& store() override { return store_; }
  void Reopen() override {}

 private:
  MemoryStore store_;
};

class SqliteHarness final : public StoreHarness {
 public:
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    store_ = OpenSqlite(path_).value();
  }

 private:
  PrivateDirectory directory_;
  std::string path_ = directory_.path() + "/exeat.db";
  std::unique_ptr<Store> store_ = OpenSqlite(path_).value();
};

class PostgresqlHarness final : public StoreHarness {
 public:
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    store_ = OpenPostgresql({.url = url_}).value();
  }

 private:
  // One database for all, emptied: each of them more costs a restarted server its time.
  static std::string EmptyDatabase() {
    static const std::string database = PostgresServer::Shared().NewDatabase();
    PostgresServer::Shared().Run(database, "DROP SCHEMA IF EXISTS exeat CASCADE");
    return PostgresServer::Shared().Url(database);
  }

  std::string url_ = EmptyDatabase();
  std::unique_ptr<Store> store_ = OpenPostgresql({.url = url_}).value();
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         testing::Values(StoreBody{
                             "Memory", [] { return std::make_unique<MemoryHarness>(); }}),
                         BodyName);
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         testing::Values(StoreBody{
                             "Sqlite", [] { return std::make_unique<SqliteHarness>(); }}),
                         BodyName);
INSTANTIATE_TEST_SUITE_P(Postgresql, StoreContract,
                         testing::Values(StoreBody{
                             "Postgresql", [] { return std::make_unique<PostgresqlHarness>(); }}),
                         BodyName);

TEST(MemoryStore, FailsAndChangesNothingWhileTheSwitchIsOn) {
  MemoryStore store;
  store.FailWith(absl::UnavailableError("locked"));
  EXPECT_THAT(store.InsertSession({.sid = "a"}), base::StatusIs(base::StatusCode::kUnavailable));
  EXPECT_THAT(store.PutRevocation({.id = "a"}), base::StatusIs(base::StatusCode::kUnavailable));
  EXPECT_THAT(store.LatestPolicy(), base::StatusIs(base::StatusCode::kUnavailable));
  store.FailWith(absl::OkStatus());
  EXPECT_THAT(store.FindSession("a"), base::StatusIs(base::StatusCode::kNotFound));
}

}  // namespace
}  // namespace exeat::store
