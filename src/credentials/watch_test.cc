#include "credentials/watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/mutex.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace exeat::credentials {
namespace {

using base::StatusCode;
using base::StatusIs;

TEST(CredentialValue, LosesOneLineEndAndNothingElse) {
  EXPECT_EQ(ValueOf("sk-1\n")->Reveal(), "sk-1");
  EXPECT_EQ(ValueOf("sk-1\r\n")->Reveal(), "sk-1");
  EXPECT_EQ(ValueOf("sk 1")->Reveal(), "sk 1");
}

TEST(CredentialValue, RefusesWhatMustNotBeSent) {
  for (const std::string bad : {"", "\n", " ", " \t\n", "a\nb", "a\r\nx: y", "a\n\n"}) {
    EXPECT_THAT(ValueOf(bad), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(ValueOf(std::string("a\0b", 3)), StatusIs(StatusCode::kInvalidArgument));
}

class WatchTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/exeat-watch-XXXXXX";
    directory = mkdtemp(name);
    auto built = std::make_shared<policy::Policy>();
    built->credentials.push_back({.name = "key", .file = directory + "/key"});
    policy = built;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void Write(const std::string& value, unsigned mode = 0600) {
    ASSERT_TRUE(base::WriteFileAtomically(directory + "/key", value, mode).ok());
  }
  Watch::Listener Note() {
    return [this](const policy::Credential&, const base::Secret& value, const base::Status&) {
      base::MutexLock lock(mutex);
      values.emplace_back(value.Reveal());
      changed.NotifyAll();
    };
  }
  // The last value reported once there were `count` reports.
  std::string LastOf(std::size_t count) {
    base::MutexLock lock(mutex);
    while (values.size() < count) {
      if (!changed.WaitFor(mutex, std::chrono::seconds(20))) return "(nothing was reported)";
    }
    return values.back();
  }

  std::string directory;
  policy::PolicyPtr policy;
  base::Mutex mutex;
  base::CondVar changed;
  std::vector<std::string> values;
};

TEST_F(WatchTest, ReportsAtOnceAndAgainAfterARename) {
  Write("one\n");
  Watch watch(Note());
  watch.Follow(policy);
  EXPECT_EQ(LastOf(1), "one");
  Write("two\n");
  EXPECT_EQ(LastOf(2), "two");
}

TEST_F(WatchTest, AMissingBlankOrOpenFileIsUnavailable) {
  Watch watch(Note());
  watch.Follow(policy);
  EXPECT_EQ(LastOf(1), "");
  Write("one\n");
  EXPECT_EQ(LastOf(2), "one");
  Write("\n");
  EXPECT_EQ(LastOf(3), "");
  Write("two\n");
  EXPECT_EQ(LastOf(4), "two");
  chmod((directory + "/key").c_str(), 0644);
  EXPECT_EQ(LastOf(5), "");
  unlink((directory + "/key").c_str());
  EXPECT_EQ(LastOf(6), "");
}

}  // namespace
}  // namespace exeat::credentials
