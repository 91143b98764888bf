#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::base {
namespace {

using ::testing::UnorderedElementsAre;

class Files : public ::testing::Test {
 protected:
  Files() {
    std::string pattern = ::testing::TempDir() + "exeat_file.XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(root_); }

  std::string At(const std::string& name) const { return root_ + "/" + name; }
  std::string Write(const std::string& name, std::string_view content, mode_t mode) const {
    EXPECT_THAT(WriteFileAtomically(At(name), content, mode), IsOk());
    return At(name);
  }
  mode_t ModeOf(const std::string& path) const {
    struct stat info{};
    EXPECT_EQ(lstat(path.c_str(), &info), 0);
    return info.st_mode & 07777U;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(root_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string root_;
};

TEST_F(Files, AreReadWhole) {
  const std::string content("a\0b\n", 4);
  EXPECT_EQ(*ReadFile(Write("f", content, 0644)), content);
  EXPECT_EQ(*ReadFile(Write("empty", "", 0644)), "");
}

TEST_F(Files, OfMoreThanTheLimitAreRefusedAndOneOfItIsNot) {
  const std::string path = Write("f", std::string(100'000, 'x'), 0644);
  EXPECT_EQ(ReadFile(path, 100'000)->size(), 100'000U);
  EXPECT_THAT(ReadFile(path, 99'999), StatusSays(StatusCode::kFailedPrecondition, "larger"));
}

TEST_F(Files, ThatAreNotThereOrNotFilesAreRefusedByName) {
  EXPECT_THAT(ReadFile(At("none")), StatusSays(StatusCode::kNotFound, At("none")));
  EXPECT_THAT(ReadFile(root_), StatusSays(StatusCode::kFailedPrecondition, "not a regular file"));
  ASSERT_EQ(mkfifo(At("fifo").c_str(), 0600), 0);  // must not be waited for
  EXPECT_THAT(ReadFile(At("fifo")), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(ReadFile("/dev/zero"), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(Files, ThatArePrivateMayBeClosedToEveryoneElse) {
  for (const mode_t mode : {0600U, 0400U}) {
    EXPECT_EQ(*ReadPrivateFile(Write("key", "k", mode)), "k");
  }
}

TEST_F(Files, ThatOthersMayTouchAreNotPrivate) {
  for (const mode_t mode : {0640U, 0620U, 0610U, 0604U, 0602U, 0601U, 0777U}) {
    EXPECT_THAT(ReadPrivateFile(Write("key", "k", mode)),
                StatusSays(StatusCode::kFailedPrecondition, "chmod 600"))
        << mode;
  }
}

TEST_F(Files, ThatArePrivateAreJudgedBehindALink) {
  const std::string open = Write("open", "k", 0644);
  ASSERT_EQ(symlink(open.c_str(), At("link").c_str()), 0);
  EXPECT_THAT(ReadPrivateFile(At("link")), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(Files, OfAnotherUserAreNotPrivate) {
  const std::string path = Write("key", "k", 0600);
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file to another user";
  ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
  EXPECT_THAT(ReadPrivateFile(path), StatusSays(StatusCode::kFailedPrecondition, "65534"));
}

TEST_F(Files, AreReplacedWithTheModeAskedForWhateverTheUmask) {
  const mode_t before = umask(0077);
  const std::string path = Write("f", "old", 0644);
  EXPECT_EQ(ModeOf(path), 0644U);
  umask(0);
  Write("f", "new", 0600);
  umask(before);
  EXPECT_EQ(ModeOf(path), 0600U);
  EXPECT_EQ(*ReadFile(path), "new");
}

TEST_F(Files, ThatAreOpenKeepTheOldContentWhenReplaced) {
  const std::string path = Write("f", "old", 0644);
  const UniqueFd reader(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Write("f", "new!", 0644);
  std::array<char, 8> seen{};
  ASSERT_EQ(read(reader.get(), seen.data(), seen.size()), 3);
  EXPECT_EQ(std::string_view(seen.data(), 3), "old");
}

TEST_F(Files, ReplaceALinkAndNotWhatItPointsAt) {
  const std::string target = Write("target", "kept", 0644);
  ASSERT_EQ(symlink(target.c_str(), At("f").c_str()), 0);
  Write("f", "new", 0644);
  EXPECT_EQ(*ReadFile(target), "kept");
  EXPECT_EQ(*ReadFile(At("f")), "new");
}

TEST_F(Files, ThatCannotBeReplacedLeaveNothingBehind) {
  ASSERT_EQ(mkdir(At("d").c_str(), 0700), 0);
  EXPECT_FALSE(WriteFileAtomically(At("d"), "x", 0600).ok());
  EXPECT_THAT(WriteFileAtomically(At("none/f"), "x", 0600), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(Names(), UnorderedElementsAre("d"));
}

TEST_F(Files, OnAFullDeviceSaySo) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  EXPECT_THAT(WriteAll(full.get(), "x", "/dev/full"),
              StatusSays(StatusCode::kResourceExhausted, "/dev/full"));
}

TEST_F(Files, AreWrittenWholeThroughAPipeThatTakesLittleAtATime) {
  const std::string content(300'000, 'x');
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  std::size_t seen = 0;
  std::jthread reader([fd = UniqueFd(ends[0]), &seen] {
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while ((got = read(fd.get(), buffer.data(), buffer.size())) > 0) {
      seen += static_cast<std::size_t>(got);
    }
  });
  UniqueFd writer(ends[1]);
  EXPECT_THAT(WriteAll(writer.get(), content, "pipe"), IsOk());
  writer.Reset();
  reader.join();
  EXPECT_EQ(seen, content.size());
}

TEST_F(Files, AreKeptInADirectoryThatIsMadePrivateOrAcceptedIfItIs) {
  EXPECT_THAT(EnsurePrivateDirectory(At("state")), IsOk());
  EXPECT_EQ(ModeOf(At("state")), 0700U);
  EXPECT_THAT(EnsurePrivateDirectory(At("state")), IsOk());
}

TEST_F(Files, AreNotKeptWhereOthersMayLook) {
  ASSERT_EQ(mkdir(At("state").c_str(), 0700), 0);
  ASSERT_EQ(chmod(At("state").c_str(), 0750), 0);
  EXPECT_THAT(EnsurePrivateDirectory(At("state")),
              StatusSays(StatusCode::kFailedPrecondition, "chmod 700"));
}

TEST_F(Files, AreNotKeptBehindALinkOrUnderAnotherUser) {
  ASSERT_EQ(mkdir(At("real").c_str(), 0700), 0);
  ASSERT_EQ(symlink(At("real").c_str(), At("link").c_str()), 0);
  EXPECT_THAT(EnsurePrivateDirectory(At("link")),
              StatusSays(StatusCode::kFailedPrecondition, "not a directory"));
  EXPECT_THAT(EnsurePrivateDirectory(At("none/state")), StatusIs(StatusCode::kNotFound));
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory to another user";
  ASSERT_EQ(chown(At("real").c_str(), 65534, 65534), 0);
  EXPECT_THAT(EnsurePrivateDirectory(At("real")),
              StatusSays(StatusCode::kFailedPrecondition, "belongs to uid 65534"));
}

}  // namespace
}  // namespace exeat::base
