#include "envoy/build.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "envoy/json.h"
#include "envoy/routes.h"
#include "envoy/testing/inlined.h"
#include "envoy/testing/small_policy.h"
#include "envoy/testing/typing.h"

namespace exeat::envoy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Types;

constexpr char kGoldenDirectory[] = "src/envoy/testdata/";

std::vector<Resource> Built(const Inputs& inputs = testing::SmallInputs()) {
  auto resources = BuildStatic(inputs, Types(), Bodies::kKeep);
  EXPECT_TRUE(resources.ok()) << resources.status();
  return resources.ok() ? *std::move(resources) : std::vector<Resource>();
}

std::vector<std::string> Names(const std::vector<Resource>& resources, const char* type_url) {
  std::vector<std::string> names;
  for (const Resource& resource : resources) {
    if (resource.type_url == type_url) names.push_back(resource.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// EXEAT_UPDATE_GOLDEN=1 writes the files anew; read the difference before committing it.
void ExpectGolden(const std::string& file, const std::string& content) {
  const std::string path = kGoldenDirectory + file;
  if (std::getenv("EXEAT_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << content << "\n";
  std::ifstream stream(path);
  const std::string expected(std::istreambuf_iterator<char>(stream), {});
  EXPECT_EQ(expected, content + "\n") << path << " differs; see EXEAT_UPDATE_GOLDEN";
}

TEST(BuildStatic, TypesEveryResourceByTheBinarysOwnDescriptors) {
  for (const Resource& resource : Built()) {
    EXPECT_EQ(resource.version.size(), 16u) << resource.name;
    const auto back = Types().ToJson(resource.type_url, WholeValue(resource));
    ASSERT_TRUE(back.ok()) << resource.name;
    EXPECT_EQ((*back)["name"], resource.name);
  }
}

policy::Policy PolicyOf(std::size_t destinations) {
  policy::Policy policy = testing::SmallPolicy();
  const policy::Destination model = policy.destinations[0];
  for (std::size_t i = policy.destinations.size(); i < destinations; ++i) {
    policy::Destination& more = policy.destinations.emplace_back(model);
    more.name = fmt::format("d{}", i);
    more.host = fmt::format("h{}.many.test", i);
    if (i % 2 == 1) more.credential.clear();
  }
  return policy;
}

// More destinations than are typed in one go, so that batches and parts have seams.
TEST(BuildStatic, SendsExactlyTheBodiesThatWereJudged) {
  for (const Resource& resource : Built(testing::SmallInputs(PolicyOf(150)))) {
    if (resource.type_url == kSecretType) continue;
    const auto in_one_go = Types().ToBinary(resource.body);
    ASSERT_TRUE(in_one_go.ok()) << resource.name;
    EXPECT_TRUE(*Types().ToJson(resource.type_url, WholeValue(resource)) ==
                *Types().ToJson(resource.type_url, *in_one_go))
        << resource.name;
  }
}

// What counts is bytes and not seconds, so that a slow machine is no failure.
TEST(BuildStatic, HoldsFiveThousandDestinationsInTheBytesThatAreTheirOwn) {
  const auto resources = BuildStatic(testing::SmallInputs(PolicyOf(5000)), Types());
  ASSERT_TRUE(resources.ok()) << resources.status();
  std::set<const std::string*> commons;
  std::size_t clusters = 0, own_bytes = 0, longest = 0, routes_bytes = 0;
  for (const Resource& resource : *resources) {
    EXPECT_TRUE(resource.body.is_null()) << resource.name;
    if (resource.type_url == kRouteType) routes_bytes = resource.value.size();
    if (resource.type_url != kClusterType) continue;
    ++clusters;
    ASSERT_NE(resource.common, nullptr) << resource.name;
    commons.insert(resource.common.get());
    own_bytes += resource.value.size();
    longest = std::max(longest, resource.value.size());
  }
  EXPECT_EQ(clusters, 2u * 5001u);     // one has two ports
  EXPECT_EQ(commons.size(), 2u * 6u);  // five credentials, and none
  EXPECT_LE(longest, 500u);            // the one that presents a certificate
  EXPECT_LE(own_bytes, clusters * 400u);
  EXPECT_LE(routes_bytes, 5001u * 2000u);
}

TEST(BuildStatic, ChangesNoVersionButThoseOfTheDestinationThatChanged) {
  policy::Policy policy = PolicyOf(150);
  const auto before = Built(testing::SmallInputs(policy));
  policy.destinations[100].host = "elsewhere.test";
  const auto after = Built(testing::SmallInputs(policy));
  ASSERT_EQ(before.size(), after.size());
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].version != after[i].version) changed.push_back(before[i].name);
  }
  EXPECT_THAT(changed, ElementsAre("d100:443", "d100:443/upgrade", "bump", "bump"));
  policy.resolver.allow_private.clear();
  const auto closed = Built(testing::SmallInputs(policy));
  for (std::size_t i = 0; i < closed.size(); ++i) {
    if (closed[i].type_url != kClusterType) continue;
    EXPECT_NE(closed[i].version, after[i].version) << closed[i].name;
  }
}

TEST(BuildStatic, GivesTheSameVersionsForTheSamePolicy) {
  const auto first = Built();
  const auto second = Built();
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].version, second[i].version) << first[i].name;
  }
}

TEST(BuildStatic, ChangesNoListenerChainWhenADestinationIsAdded) {
  policy::Policy wider = testing::SmallPolicy();
  wider.destinations.push_back({.name = "new", .host = "new.test", .ports = {443}});
  auto before = testing::BodiesOf(Built(), kListenerType);
  auto after = testing::BodiesOf(Built(testing::SmallInputs(wider)), kListenerType);
  for (auto& [name, body] : before) {
    EXPECT_EQ(body["filter_chains"], after[name]["filter_chains"]) << name;
  }
  EXPECT_NE(before["bump"], after["bump"]);
}

TEST(BuildStatic, LeavesTheBucketsAloneWhenAnUnlimitedDestinationIsAdded) {
  policy::Policy wider = testing::SmallPolicy();
  wider.destinations.push_back({.name = "new", .host = "new.test", .ports = {443}});
  const auto before = testing::BodiesOf(Built(), kExtensionType);
  const auto after = testing::BodiesOf(Built(testing::SmallInputs(wider)), kExtensionType);
  EXPECT_EQ(before.at("ratelimit"), after.at("ratelimit"));
}

TEST(BuildStatic, OpensNoListenerThatThePolicyDoesNotName) {
  policy::Policy policy = testing::SmallPolicy();
  policy.listeners.transparent.reset();
  EXPECT_THAT(Names(Built(testing::SmallInputs(policy)), kListenerType),
              ElementsAre("bump", "explicit"));
  policy.listeners.proxy.reset();
  EXPECT_THAT(Names(Built(testing::SmallInputs(policy)), kListenerType), ElementsAre());
  policy.listeners.transparent = policy::SocketAddress::Parse("127.0.0.1:3129");
  EXPECT_THAT(Names(Built(testing::SmallInputs(policy)), kListenerType),
              ElementsAre("bump", "transparent"));
}

TEST(BuildStatic, ListsNothingWhenThePostureIsDenyAll) {
  policy::Policy policy = testing::SmallPolicy();
  policy.posture = policy::Posture::kDenyAll;
  const auto resources = Built(testing::SmallInputs(policy));
  EXPECT_THAT(Names(resources, kClusterType), ElementsAre());
  for (const Resource& resource : resources) {
    if (resource.name == kRateLimitFilter) continue;
    EXPECT_THAT(resource.body.dump(), Not(HasSubstr("api.anthropic.test"))) << resource.name;
  }
}

// Each listener that holds the chain instantiates buckets of its own, even of one ECDS filter.
TEST(BuildStatic, InstantiatesTheRateLimitOnce) {
  int places = 0;
  for (const auto& [name, body] : testing::BodiesOf(Built(), kListenerType)) {
    const std::string text = body.dump();
    const std::string mark = "\"name\":\"ratelimit\"";
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) ++places;
  }
  EXPECT_EQ(places, 1);
}

TEST(BuildStatic, GivesConnectARouteOfItsOwnUnderEveryAuthority) {
  const Json routes = testing::BodiesOf(Built(), kRouteType)["bump"];
  for (const Json& host : routes["virtual_hosts"]) {
    const Json& first = host["routes"][0];
    EXPECT_EQ(first["match"], Json({{"connect_matcher", Json::object()}})) << host["name"];
    EXPECT_EQ(first["direct_response"]["status"], 403);
    // ext_authz is not switched off: the refusal is to be judged and recorded.
    EXPECT_EQ(first["typed_per_filter_config"].size(), 1u);
  }
}

// Each with the rules, limits and credential of its own, in the order of the policy.
TEST(BuildStatic, GivesEachDestinationOfOneHostRoutesOfItsOwn) {
  policy::Policy policy = testing::SmallPolicy();
  policy::Destination writing = policy.destinations[2];  // git
  writing.name = "git-write";
  writing.grant = "write";
  policy.destinations.push_back(writing);
  const Json routes = testing::BodiesOf(Built(testing::SmallInputs(policy)), kRouteType)["bump"];
  std::vector<std::string> clusters, asked;
  for (const Json& host : routes["virtual_hosts"]) {
    if (host["domains"][0] != "git.test:443") continue;
    EXPECT_TRUE(host["typed_per_filter_config"].empty());
    for (const Json& route : host["routes"]) {
      if (!route.contains("route")) continue;
      clusters.push_back(route["route"]["cluster"]);
      asked.push_back(route["match"]["dynamic_metadata"][0]["value"]["list_match"]["one_of"]
                           ["string_match"]["exact"]);
      const Json& rbac = route["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"];
      EXPECT_TRUE(
          rbac["rules"]["policies"].contains(asked.back() == "write" ? "git-write" : "git"));
    }
  }
  EXPECT_THAT(clusters,
              ElementsAre("git:443/upgrade", "git:443", "git-write:443/upgrade", "git-write:443"));
  EXPECT_THAT(asked, ElementsAre("git", "git", "write", "write"));
}

TEST(BuildStatic, RefusesWhatItCannotProve) {
  const auto code = [](const Inputs& inputs) {
    return BuildStatic(inputs, Types()).status().code();
  };
  Inputs inputs = testing::SmallInputs();
  inputs.jwks.clear();
  EXPECT_EQ(code(inputs), absl::StatusCode::kInvalidArgument);
  inputs = testing::SmallInputs();
  inputs.trust_pem = "nothing";
  EXPECT_EQ(code(inputs), absl::StatusCode::kInvalidArgument);
  inputs = testing::SmallInputs();
  inputs.session_issuer.clear();
  EXPECT_EQ(code(inputs), absl::StatusCode::kInvalidArgument);
  policy::Policy policy = testing::SmallPolicy();
  policy.destinations[0].credential = "absent";
  EXPECT_EQ(code(testing::SmallInputs(policy)), absl::StatusCode::kInvalidArgument);
  policy = testing::SmallPolicy();
  policy.destinations[1].host = policy.destinations[0].host;
  EXPECT_EQ(code(testing::SmallInputs(policy)), absl::StatusCode::kInvalidArgument);
  inputs = testing::SmallInputs();
  inputs.policy = nullptr;
  EXPECT_EQ(code(inputs), absl::StatusCode::kInvalidArgument);
}

TEST(BuildStatic, StripsEveryCredentialHeaderThePolicyKnows) {
  policy::Policy policy = testing::SmallPolicy();
  policy.credentials[0].header = "x-odd-key";
  const Json routes = testing::BodiesOf(Built(testing::SmallInputs(policy)), kRouteType)["bump"];
  for (const char* direction : {"request_headers_to_remove", "response_headers_to_remove"}) {
    EXPECT_THAT(routes[direction].get<std::vector<std::string>>(),
                ::testing::IsSupersetOf({"x-odd-key", "authorization", "x-api-key"}));
  }
}

TEST(Golden, HoldsEveryKindOfResource) {
  const auto resources = Built();
  for (const char* type : {kListenerType, kRouteType, kExtensionType}) {
    for (const auto& [name, body] : testing::BodiesOf(resources, type)) {
      const std::string kind = type == std::string(kListenerType) ? "listener_"
                               : type == std::string(kRouteType)  ? "routes_"
                                                                  : "filter_";
      ExpectGolden(kind + name + ".json", body.dump(1));
    }
  }
  auto clusters = testing::BodiesOf(resources, kClusterType);
  ExpectGolden("cluster_header_credential.json", clusters["anthropic:443"].dump(1));
  ExpectGolden("cluster_upgrade_basic_credential.json", clusters["git:443/upgrade"].dump(1));
  ExpectGolden("cluster_aws_credential.json", clusters["s3:443"].dump(1));
  ExpectGolden("cluster_mtls_credential.json", clusters["bank:443"].dump(1));
  ExpectGolden("cluster_no_credential.json", clusters["docs:443"].dump(1));
  ExpectGolden("bootstrap.json", BuildBootstrap({.node_id = "edge-1",
                                                 .deployment = "acme-dev",
                                                 .control_socket = "/run/exeat/control.sock",
                                                 .admin_socket = "/run/exeat/admin.sock"}));
}

}  // namespace
}  // namespace exeat::envoy
