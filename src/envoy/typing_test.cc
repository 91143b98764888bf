#include "envoy/typing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/json.h"
#include "envoy/resource.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;
using testing::Types;

TEST(Typing, NamesThePathOfAnUnknownField) {
  const Json listener = {{"@type", kListenerType},
                         {"name", "x"},
                         {"filter_chains", Json::array({{{"nmae", "typo"}}})}};
  const auto binary = Types().ToBinary(listener);
  EXPECT_EQ(binary.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(base::Message(binary.status()), HasSubstr("filter_chains[0]"));
  EXPECT_THAT(base::Message(binary.status()), HasSubstr("nmae"));
}

TEST(Typing, LooksIntoEveryNestedAny) {
  const Json filter =
      Extension("rbac", "envoy.extensions.filters.http.rbac.v3.RBAC", Json::object({{"rule", 1}}));
  const Json wrapped = Typed("envoy.config.core.v3.TypedExtensionConfig", filter);
  EXPECT_THAT(base::Message(Types().ToBinary(wrapped).status()), HasSubstr("rule"));
}

TEST(Typing, RefusesAMessageItDoesNotKnow) {
  EXPECT_FALSE(Types().ToBinary(Typed("envoy.no.such.Message")).ok());
  EXPECT_FALSE(Types().ToBinary(Json::object({{"name", "untyped"}})).ok());
  EXPECT_FALSE(Types().ToBinary(Json::array()).ok());
}

TEST(Typing, ReadsBackWhatItWrote) {
  const Json cluster = Typed("envoy.config.cluster.v3.Cluster",
                             {{"name", "c"}, {"type", "EDS"}, {"connect_timeout", "5s"}});
  const auto binary = Types().ToBinary(cluster);
  ASSERT_TRUE(binary.ok()) << binary.status();
  EXPECT_EQ(*Types().ToJson(kClusterType, *binary), cluster);
}

TEST(Typing, TypesManyAsItTypesEach) {
  std::vector<Json> messages;
  for (int i = 0; i < 70; ++i) {
    messages.push_back(Typed("envoy.config.cluster.v3.Cluster", {{"name", std::to_string(i)}}));
  }
  messages.push_back(Typed("envoy.config.listener.v3.Listener", Json::object({{"name", "l"}})));
  messages.push_back(Typed("envoy.config.cluster.v3.Cluster"));
  const auto values = Types().ToBinaries(messages);
  ASSERT_TRUE(values.ok()) << values.status();
  ASSERT_EQ(values->size(), messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ((*values)[i], *Types().ToBinary(messages[i])) << i;
  }
  EXPECT_TRUE(Types().ToBinaries({})->empty());
}

TEST(Typing, RefusesAllOfManyForTheSakeOfOne) {
  const Json good = Typed("envoy.config.cluster.v3.Cluster", Json::object({{"name", "c"}}));
  const Json typo = Typed("envoy.config.cluster.v3.Cluster", Json::object({{"nmae", "c"}}));
  EXPECT_THAT(base::Message(Types().ToBinaries({good, typo}).status()), HasSubstr("nmae"));
  EXPECT_FALSE(Types().ToBinaries({good, Typed("envoy.no.such.Message")}).ok());
  EXPECT_FALSE(Types().ToBinaries({good, Json::object({{"name", "untyped"}})}).ok());
  EXPECT_FALSE(Types().ToBinaries({Json::array()}).ok());
}

TEST(Typing, RefusesDamagedDescriptors) {
  EXPECT_EQ(Typing::Create("no descriptors").status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Typing::Create("").status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace exeat::envoy
