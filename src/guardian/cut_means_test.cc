#include "guardian/cut_means.h"

#include <linux/capability.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guardian/confine.h"
#include "guardian/link_message.h"
#include "guardian/testing/stand_in.h"
#include "guardian/testing/tcp_server.h"

namespace exeat::guardian {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool HasCapability(unsigned capability) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:\t")) continue;
    return (std::stoull(line.substr(8), nullptr, 16) >> capability & 1U) != 0;
  }
  return false;
}

base::StatusOr<DescriptorTable> Absent() {
  return base::MakeStatus(base::StatusCode::kNotFound, "no such child");
}

TEST(CutMeans, SaysWhatIsPermittedInWordsAndBits) {
  const TcpServer server;
  const CutMeans means = TryCutMeans(DescriptorTable::Open(server.pid()));
  const char* expected = "none: ";
  if (means.bits == kCutsByDestroy) expected = "SOCK_DESTROY";
  if (means.bits == kCutsByDescriptor) expected = "pidfd_getfd";
  if (means.bits == (kCutsByDescriptor | kCutsByDestroy)) expected = "SOCK_DESTROY and pidfd_getfd";
  EXPECT_THAT(means.description, ::testing::StartsWith(expected));
  EXPECT_EQ((means.bits & kCutsByDestroy) != 0, HasCapability(CAP_NET_ADMIN));
}

TEST(CutMeans, SaysWhyThereAreNone) {
  const CutMeans means = TryCutMeans(Absent());
  if (HasCapability(CAP_NET_ADMIN)) {
    EXPECT_EQ(means.description, "SOCK_DESTROY");
    EXPECT_EQ(means.bits, kCutsByDestroy);
  } else {
    EXPECT_EQ(means.description, "none: SOCK_DESTROY: Operation not permitted; no such child");
    EXPECT_EQ(means.bits, 0U);
  }
}

TEST(CutMeans, AChildOfAnotherUserMayNotBeLookedAt) {
  if (geteuid() == 0) GTEST_SKIP() << "ROOT MAY LOOK AT EVERYBODY: tested as an ordinary user";
  const CutMeans means = TryCutMeans(DescriptorTable::Open(1));
  EXPECT_EQ(means.description,
            "none: SOCK_DESTROY: Operation not permitted; pidfd_getfd: Operation not permitted");
  EXPECT_EQ(means.bits, 0U);
}

TEST(CutMeans, AChildThatHasEndedHasNoDescriptors) {
  TcpServer server;
  const auto child = DescriptorTable::Open(server.pid());
  ASSERT_TRUE(child.ok() && child->IsWhole());
  server.Stop();
  EXPECT_TRUE(child->Ended());
  EXPECT_FALSE(child->IsWhole());
  EXPECT_EQ(TryCutMeans(child).bits & kCutsByDescriptor, 0U);
}

// The tests that cut, as they are, by an undumpable process of an ordinary user whose child has the
// same uid, Landlock and no_new_privs.
TEST(CutMeans, AnOrdinaryUserCutsToo) {
  if (!CanChangeUid()) GTEST_SKIP() << "NOT ROOT: these tests run as an ordinary user already";
  const std::string as_user =
      fmt::format("setpriv --reuid={0} --regid={0} --clear-groups --no-new-privs ", kEnvoyUid + 1);
  if (std::system((as_user + "test -x " + OwnExecutable()).c_str()) != 0) {
    GTEST_SKIP() << "NO setpriv, OR OTHERS MAY NOT REACH " << OwnExecutable()
                 << ": cutting as an ordinary user is NOT TESTED";
  }
  const std::string tests =
      " --stand-in=hardened-tests --gtest_brief=1 "
      "--gtest_filter='CutterByEachMeans.*/Descriptor:CutMeans.*:Guardian.Cuts*:Guardian.Hears*' "
      "2>&1";
  std::string said;
  FILE* output = popen((as_user + OwnExecutable() + tests).c_str(), "r");
  ASSERT_NE(output, nullptr);
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), buffer.size(), output) != nullptr) said += buffer.data();
  EXPECT_EQ(pclose(output), 0) << said;
  EXPECT_THAT(said, HasSubstr("[  PASSED  ] 2")) << said;
  EXPECT_THAT(said, Not(HasSubstr("NOT PERMITTED"))) << said;
  EXPECT_THAT(said, Not(HasSubstr("NO CUTTING"))) << said;
}

}  // namespace
}  // namespace exeat::guardian
