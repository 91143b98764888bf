#include "store/sqlite.h"

#include <fstream>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "store/testing/private_directory.h"

namespace exeat::store {
namespace {

using base::IsOk;

class KeptStatement : public testing::Test {
 protected:
  void SetUp() override {
    const std::string path = directory_.path() + "/kept.db";
    std::ofstream(path).flush();
    database_ = Database::Open(path, std::chrono::milliseconds(20)).value();
    ASSERT_THAT(database_->Execute("CREATE TABLE t (a, b)"), IsOk());
  }

  static constexpr char kInsert[] = "INSERT INTO t VALUES (?, ?)";
  PrivateDirectory directory_;
  std::unique_ptr<Database> database_;
};

TEST_F(KeptStatement, ComesBackWithNothingBound) {
  ASSERT_THAT(database_->Prepare(kInsert)->Bind("first").Bind("secret").Run(), IsOk());
  ASSERT_THAT(database_->Prepare(kInsert)->Bind("second").Run(), IsOk());
  EXPECT_EQ(*database_->QueryNumber("SELECT count(*) FROM t WHERE a = 'second' AND b IS NULL"), 1);
}

TEST_F(KeptStatement, LetsGoOfWhatItWasReading) {
  ASSERT_THAT(database_->Execute("INSERT INTO t VALUES (1, 1), (2, 2)"), IsOk());
  EXPECT_TRUE(*database_->Prepare("SELECT a FROM t")->Step());
  EXPECT_THAT(database_->Execute("DROP TABLE t"), IsOk());
}

TEST_F(KeptStatement, IsOneOfItsOwnWhileAnotherOfTheSameTextIsInUse) {
  auto first = database_->Prepare(kInsert);
  auto second = database_->Prepare(kInsert);
  first->Bind("a");
  second->Bind("b");
  EXPECT_THAT(first->Bind("1").Run(), IsOk());
  EXPECT_THAT(second->Bind("2").Run(), IsOk());
  EXPECT_EQ(*database_->QueryNumber("SELECT count(*) FROM t WHERE a || b IN ('a1', 'b2')"), 2);
}

}  // namespace
}  // namespace exeat::store
