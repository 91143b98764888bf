#include "envoy/build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/testing/small_policy.h"

namespace exeat::envoy {
namespace {

const Typing& Types() {
  static const auto& typing = *new std::unique_ptr<Typing>(*Typing::Embedded());
  return *typing;
}

TEST(BuildStatic, TypesEveryResourceByTheBinarysOwnDescriptors) {
  const auto resources = BuildStatic(testing::SmallInputs(), Types());
  ASSERT_TRUE(resources.ok()) << resources.status();
  EXPECT_GT(resources->size(), 12u);
  for (const Resource& resource : *resources) {
    EXPECT_FALSE(resource.value.empty()) << resource.name;
    EXPECT_EQ(resource.version.size(), 16u) << resource.name;
  }
}

}  // namespace
}  // namespace exeat::envoy
