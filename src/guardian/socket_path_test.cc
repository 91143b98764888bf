#include "guardian/socket_path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "guardian/testing/temp_directory.h"

namespace exeat::guardian {
namespace {

using base::IsOk;
using base::StatusCode;
using base::StatusSays;
using base::UniqueFd;

UniqueFd Bound(const std::string& path, int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    fd.Reset();
  }
  return fd;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

TEST(CheckSocketPath, TakesTheLongestThatTheKernelTakes) {
  TempDirectory directory;
  std::string path = directory / "";
  path += std::string(kMaxSocketPathBytes - path.size(), 'x');
  EXPECT_THAT(CheckSocketPath(path), IsOk());
  UniqueFd bound = Bound(path, SOCK_STREAM);
  EXPECT_TRUE(bound.valid());
  EXPECT_TRUE(Exists(path)) << "bound under its whole name";
  EXPECT_THAT(CheckSocketPath(path + "x"),
              StatusSays(StatusCode::kInvalidArgument, path + "x: 108 bytes"));
  EXPECT_THAT(CheckSocketPath(""), StatusSays(StatusCode::kInvalidArgument, "empty"));
}

class StaleSocket : public ::testing::Test {
 protected:
  TempDirectory directory_;
  const std::string path_ = directory_ / "a.sock";
};

TEST_F(StaleSocket, AnAbsentPathIsFree) { EXPECT_THAT(RemoveStaleSocket(path_), IsOk()); }

TEST_F(StaleSocket, ASocketAtWhichNobodyAnswersIsRemoved) {
  UniqueFd fd = Bound(path_, SOCK_STREAM);
  ASSERT_TRUE(fd.valid());
  fd.Reset();
  ASSERT_TRUE(Exists(path_));
  EXPECT_THAT(RemoveStaleSocket(path_), IsOk());
  EXPECT_FALSE(Exists(path_));
}

TEST_F(StaleSocket, ALivingOneIsNamedAndStays) {
  const UniqueFd fd = Bound(path_, SOCK_STREAM);
  ASSERT_EQ(listen(fd.get(), 0), 0);
  // The later knocks find the backlog full.
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(RemoveStaleSocket(path_), StatusSays(StatusCode::kAlreadyExists, path_));
  }
  EXPECT_TRUE(Exists(path_));
}

TEST_F(StaleSocket, ALivingDatagramSocketStays) {
  const UniqueFd fd = Bound(path_, SOCK_DGRAM);
  EXPECT_THAT(RemoveStaleSocket(path_), StatusSays(StatusCode::kAlreadyExists, path_));
  EXPECT_TRUE(Exists(path_));
}

TEST_F(StaleSocket, WhatIsNoSocketIsNeverRemoved) {
  std::ofstream(path_) << "a diary";
  EXPECT_THAT(RemoveStaleSocket(path_), StatusSays(StatusCode::kFailedPrecondition, path_));
  EXPECT_TRUE(Exists(path_));
  const std::string link = directory_ / "link";
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_THAT(RemoveStaleSocket(link), StatusSays(StatusCode::kFailedPrecondition, link));
}

class SocketDirectory : public ::testing::Test {
 protected:
  SocketDirectory() {
    setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
    short_state_ = directory_ / "state";
    long_state_ = directory_ / std::string(100, 'l');
    std::filesystem::create_directory(short_state_);
    std::filesystem::create_directory(long_state_);
  }
  ~SocketDirectory() override { unsetenv("XDG_RUNTIME_DIR"); }
  TempDirectory directory_;
  std::string short_state_;
  std::string long_state_;
};

TEST_F(SocketDirectory, IsInTheStateWhereItFits) {
  EXPECT_EQ(*ShortSocketDirectory(short_state_), short_state_ + "/run");
  EXPECT_EQ(*FindSocketDirectory(short_state_), short_state_ + "/run");
  struct stat info{};
  ASSERT_EQ(stat((short_state_ + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
}

TEST_F(SocketDirectory, IsShortAndTheSameForEveryoneWhereTheStateIsLong) {
  const auto made = ShortSocketDirectory(long_state_);
  ASSERT_THAT(made, IsOk());
  EXPECT_TRUE(made->starts_with(directory_.path())) << *made;
  EXPECT_THAT(CheckSocketPath(*made + "/" + std::string(kMaxSocketNameBytes, 'x')), IsOk());
  EXPECT_EQ(*ShortSocketDirectory(long_state_), *made);
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(*ShortSocketDirectory(long_state_), *made) << "another login's environment";
  EXPECT_EQ(*FindSocketDirectory(long_state_), *made);
  const std::string other = directory_ / std::string(101, 'l');
  std::filesystem::create_directory(other);
  setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
  EXPECT_NE(*ShortSocketDirectory(other), *made);
}

TEST_F(SocketDirectory, IsOneForEveryNameOfTheState) {
  const auto made = ShortSocketDirectory(long_state_);
  const std::string alias = directory_ / "alias";
  ASSERT_EQ(symlink(long_state_.c_str(), alias.c_str()), 0);
  EXPECT_EQ(*ShortSocketDirectory(alias), *made);
}

TEST_F(SocketDirectory, IsMadeAgainAfterATidyUp) {
  const auto made = ShortSocketDirectory(long_state_);
  ASSERT_THAT(made, IsOk());
  std::filesystem::remove(*made);
  EXPECT_THAT(FindSocketDirectory(long_state_), StatusSays(StatusCode::kNotFound, "run"));
  EXPECT_EQ(*ShortSocketDirectory(long_state_), *made);
  EXPECT_TRUE(Exists(*made));
}

TEST_F(SocketDirectory, FallsBackToTmpWithoutAUsableRuntimeDirectory) {
  setenv("XDG_RUNTIME_DIR", "relative", 1);
  const auto made = ShortSocketDirectory(long_state_);
  ASSERT_THAT(made, IsOk());
  EXPECT_TRUE(made->starts_with("/tmp/exeat-" + std::to_string(geteuid()) + "-")) << *made;
  std::filesystem::remove(*made);
}

TEST_F(SocketDirectory, ADirectoryOpenToOthersIsRefused) {
  const auto made = ShortSocketDirectory(long_state_);
  ASSERT_THAT(made, IsOk());
  chmod(made->c_str(), 0777);
  EXPECT_THAT(ShortSocketDirectory(long_state_),
              StatusSays(StatusCode::kFailedPrecondition, *made));
  EXPECT_THAT(FindSocketDirectory(long_state_), StatusSays(StatusCode::kFailedPrecondition, *made));
}

TEST_F(SocketDirectory, AnotherUsersDirectoryIsNotTrusted) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT ROOT: no directory can be given away";
  const auto made = ShortSocketDirectory(long_state_);
  ASSERT_THAT(made, IsOk());
  ASSERT_EQ(chown(made->c_str(), 12345, 12345), 0);
  EXPECT_THAT(ShortSocketDirectory(long_state_),
              StatusSays(StatusCode::kFailedPrecondition, "uid 12345"));
  EXPECT_THAT(FindSocketDirectory(long_state_), StatusSays(StatusCode::kFailedPrecondition, *made));
}

TEST_F(SocketDirectory, AStateThatIsNotThereIsNamed) {
  EXPECT_THAT(ShortSocketDirectory(directory_ / "absent"),
              StatusSays(StatusCode::kNotFound, directory_ / "absent"));
  EXPECT_THAT(FindSocketDirectory(short_state_), StatusSays(StatusCode::kNotFound, "/run"));
}

}  // namespace
}  // namespace exeat::guardian
