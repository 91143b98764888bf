#include "envoy/extensions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/build.h"
#include "envoy/testing/small_policy.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr char kInjector[] =
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector";
constexpr char kAsking[] = "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz";

class Extensions : public ::testing::Test {
 protected:
  // An Envoy that has all that is needed and nothing else.
  static std::vector<CompiledIn> AllOf(const std::set<Need>& needed) {
    std::vector<CompiledIn> has;
    for (const Need& need : needed) has.push_back({need.category, need.what, {need.what}});
    return has;
  }
  std::vector<CompiledIn> Without(const Need& need) {
    std::set<Need> fewer = needed_;
    EXPECT_EQ(fewer.erase(need), 1u);
    return AllOf(fewer);
  }

  std::set<Need> needed_ = *NeededExtensions(testing::Types());
};

TEST_F(Extensions, NothingIsMissingWhereAllIsThere) {
  EXPECT_THAT(Missing(needed_, AllOf(needed_)), IsEmpty());
}

TEST_F(Extensions, WhatIsMissingIsNamed) {
  for (const Need& need : needed_) {
    // A cluster's filter is needed by its type too, which this Envoy still has elsewhere.
    const auto missing = Missing(needed_, Without(need));
    if (need.category.empty() && needed_.contains({need.what, "envoy.filters.http.upstream"})) {
      EXPECT_THAT(missing, IsEmpty()) << need.what;
    } else if (need.category.empty()) {
      EXPECT_THAT(missing, ElementsAre(need.what));
    } else {
      EXPECT_THAT(missing, ElementsAre(need.what + " (" + need.category + ")"));
    }
  }
}

TEST_F(Extensions, AFilterOfListenersIsNoneOfClusters) {
  std::vector<CompiledIn> has = Without({kInjector, "envoy.filters.http.upstream"});
  has.push_back({"envoy.filters.http", "envoy.filters.http.credential_injector", {kInjector}});
  EXPECT_THAT(Missing(needed_, has),
              ElementsAre(std::string(kInjector) + " (envoy.filters.http.upstream)"));
}

TEST_F(Extensions, WhoNamesNothingHasNothing) {
  EXPECT_EQ(Missing(needed_, {}).size(), needed_.size());
  EXPECT_GT(needed_.size(), 30u);
}

// What the policy of all tests uses is among what any policy may use.
TEST_F(Extensions, AnyPolicysNeedsAreKnownBeforeItIsApplied) {
  EXPECT_THAT(
      needed_,
      IsSupersetOf(NeedsOf(*BuildStatic(testing::SmallInputs(), testing::Types(), Bodies::kKeep))));
  EXPECT_TRUE(needed_.contains({kInjector, "envoy.filters.http.upstream"}));
  EXPECT_TRUE(needed_.contains({kAsking, ""}));
  EXPECT_TRUE(needed_.contains({"envoy.hashable_string", "filter_state.object"}));
}

}  // namespace
}  // namespace exeat::envoy
