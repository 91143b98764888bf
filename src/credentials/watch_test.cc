#include "credentials/watch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/mutex.h"
#include "credentials/testing/pair.h"
#include "gtest/gtest.h"

namespace exeat::credentials {
namespace {

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/exeat-watch-XXXXXX";
    directory = mkdtemp(name);
    Use({.name = "key", .file = directory + "/key"});
  }
  void Use(policy::Credential credential) {
    auto built = std::make_shared<policy::Policy>();
    built->credentials.push_back(std::move(credential));
    policy = built;
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void Write(const std::string& value, const std::string& name = "key") {
    ASSERT_TRUE(base::WriteFileAtomically(directory + "/" + name, value, 0600).ok());
  }
  Watch::Listener Note() {
    return [this](const policy::Credential&, const Material& material, const base::Status&) {
      base::MutexLock lock(mutex);
      values.emplace_back(material.value.Reveal());
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

  // Whether this is what was reported last, now or in a while.
  bool Comes(const std::string& value) {
    base::MutexLock lock(mutex);
    while (values.empty() || values.back() != value) {
      if (!changed.WaitFor(mutex, std::chrono::seconds(20))) return false;
    }
    return true;
  }
  std::set<std::string> Seen() {
    base::MutexLock lock(mutex);
    return {values.begin(), values.end()};
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

TEST_F(WatchTest, APairIsReportedWholeOrNotAtAll) {
  Use({.name = "bank",
       .kind = policy::CredentialKind::kMtls,
       .file = directory + "/crt",
       .key_file = directory + "/key"});
  const testing::Pair first = testing::MakePair(), second = testing::MakePair();
  Write(first.key);
  Watch watch(Note());
  watch.Follow(policy);
  EXPECT_EQ(LastOf(1), "");
  Write(first.certificate, "crt");
  EXPECT_EQ(LastOf(2), first.key);
  Write(second.key);
  Write(second.certificate, "crt");
  EXPECT_TRUE(Comes(second.key));
  Write(first.key);  // and the certificate is never replaced
  EXPECT_TRUE(Comes(""));
  EXPECT_EQ(Seen(), (std::set<std::string>{"", first.key, second.key}));
}

}  // namespace
}  // namespace exeat::credentials
