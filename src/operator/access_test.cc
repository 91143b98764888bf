#include "operator/access.h"

#include <sys/stat.h>

#include "base/testing/status_matchers.h"
#include "store/testing/private_directory.h"

namespace exeat::ops {
namespace {

TEST(AccessSecret, IsPrivateAndReadBackAsMade) {
  const store::PrivateDirectory state;
  const auto made = MakeAccessSecret(state.path());
  ASSERT_THAT(made, base::IsOk());
  const auto read = ReadAccessSecret(state.path());
  ASSERT_THAT(read, base::IsOk());
  EXPECT_TRUE(Admits(*made, read->Reveal()));
  struct stat info{};
  ASSERT_EQ(stat((state.path() + "/operator.secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(AccessSecret, IsAnotherOneAtEachStart) {
  const store::PrivateDirectory state;
  const auto first = MakeAccessSecret(state.path());
  const auto second = MakeAccessSecret(state.path());
  ASSERT_THAT(second, base::IsOk());
  EXPECT_FALSE(Admits(*second, first->Reveal()));
}

TEST(AccessSecret, AdmitsNothingWhenEmpty) {
  EXPECT_FALSE(Admits(base::Secret(), ""));
  EXPECT_FALSE(Admits(base::Secret(), "x"));
}

}  // namespace
}  // namespace exeat::ops
