#include "base/secret.h"

#include <type_traits>

#include "gtest/gtest.h"

namespace exeat::base {
namespace {

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);

// Longer than what a std::string keeps inside itself, and shorter: they move differently.
const std::string kLong(64, 'k');
const std::string kShort = "k3y";

TEST(Secrets, RevealWhatTheyWereGiven) {
  for (const std::string& bytes : {kLong, kShort}) {
    const Secret secret(bytes);
    EXPECT_EQ(secret.Reveal(), bytes);
    EXPECT_FALSE(secret.empty());
  }
  EXPECT_TRUE(Secret().empty());
}

TEST(Secrets, LeaveNothingInTheObjectMovedFrom) {
  for (const std::string& bytes : {kLong, kShort}) {
    Secret first(bytes);
    const char* at = first.Reveal().data();
    const Secret second(std::move(first));
    EXPECT_EQ(second.Reveal(), bytes);
    EXPECT_TRUE(first.empty());
    // A cleared string keeps its place, so the old bytes may be looked at.
    EXPECT_EQ(std::string(at, bytes.size()), std::string(bytes.size(), '\0'));
  }
}

TEST(Secrets, WipeWhatAnAssignmentReplaces) {
  Secret held(kShort);
  Secret fresh(std::string("other"));
  held = std::move(fresh);
  EXPECT_EQ(held.Reveal(), "other");
  EXPECT_TRUE(fresh.empty());
}

TEST(Secrets, SurviveAssignmentToThemselves) {
  Secret held(kLong);
  Secret& same = held;
  held = std::move(same);
  EXPECT_EQ(held.Reveal(), kLong);
}

TEST(Wipe, OverwritesBeforeItEmpties) {
  std::string bytes = kLong;
  const char* at = bytes.data();
  Secret::Wipe(bytes);
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(std::string(at, kLong.size()), std::string(kLong.size(), '\0'));
}

}  // namespace
}  // namespace exeat::base
