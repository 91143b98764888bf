#include "envoy/asked_once.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/build.h"
#include "envoy/guard_reading.h"
#include "envoy/names.h"
#include "envoy/testing/built.h"

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;
using Pointer = Json::json_pointer;

const Pointer kSkipOfHost("/typed_per_filter_config/envoy.filters.http.ext_authz");
const Pointer kPredicates("/xds_matcher/matcher_list/matchers/0/predicate/and_matcher/predicate");
const Pointer kAuthorizer("/filter_chains/0/filters/0/typed_config/http_filters/2/typed_config");
constexpr char kMore[] = "skipped for more than a tunnel vetted for that host";

class AskedOnce : public testing::Built {
 protected:
  Json& Host(const std::string& name) {
    for (Json& host : Body(kRouteType, "bump")["virtual_hosts"]) {
      if (host["name"] == name) return host;
    }
    ADD_FAILURE() << "no virtual host " << name;
    return resources_.front().body;
  }
  Json& Skip() { return Host("openai:8443")[kSkipOfHost]; }

  void ExpectRefused(const std::string& why) {
    EXPECT_THAT(base::Message(CheckChain(resources_)), HasSubstr(why));
  }
  void ExpectRefusedWith(Json& place, const Json& changed, const std::string& why) {
    const Json right = place;
    place = changed;
    ExpectRefused(why);
    place = right;
    ASSERT_TRUE(CheckChain(resources_).ok());
  }
};

TEST_F(AskedOnce, OnlyWhatTheDestinationWantsItForHasASkip) {
  for (const Json& host : Body(kRouteType, "bump")["virtual_hosts"]) {
    const bool wanted = host["name"].get<std::string>().starts_with("openai:");
    EXPECT_EQ(host.contains(kSkipOfHost), wanted) << host["name"];
  }
}

// Of one that looks at anything else Envoy makes no matcher, and then skips every request.
TEST_F(AskedOnce, AVirtualHostLooksAtNothingButRequestHeaders) {
  int inputs = 0;
  Visit(Skip(), [&](const Json& node) {
    if (!node.is_object() || !node.contains("input")) return;
    ++inputs;
    EXPECT_TRUE(HasType(node["input"]["typed_config"],
                        "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"));
  });
  EXPECT_EQ(inputs, 5);
  Json filter_state = Skip()[kPredicates];
  filter_state.push_back(
      {{"single_predicate",
        {{"input",
          Extension("vetted", "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    Json::object({{"key", kVettedState}}))},
         {"value_match", Exact("api.openai.test:8443")}}}});
  ExpectRefusedWith(Skip()[kPredicates], filter_state, kMore);
}

TEST_F(AskedOnce, ASkipLacksNoneOfItsConditions) {
  const std::size_t conditions = Skip()[kPredicates].size();
  ASSERT_EQ(conditions, 5u);
  for (std::size_t i = 0; i < conditions - 1; ++i) {  // the last one is the policy's own rules
    Json fewer = Skip()[kPredicates];
    fewer.erase(i);
    ExpectRefusedWith(Skip()[kPredicates], fewer, kMore);
  }
}

TEST_F(AskedOnce, ASkipIsForTheVirtualHostsOwnName) {
  ExpectRefusedWith(Skip(), Host("openai:443")[kSkipOfHost], kMore);
  policy::Destination other;
  other.host = "git.test";
  ExpectRefusedWith(Skip(), SkipVetted(other, 8443), kMore);
  ExpectRefusedWith(Host("openai:8443")["domains"], Json::array({"*"}), kMore);
  ExpectRefusedWith(Skip()["xds_matcher"]["matcher_list"]["matchers"][0]["predicate"],
                    Skip()[kPredicates][0], kMore);
  Json no_match = Skip()["xds_matcher"];
  no_match["on_no_match"] = no_match["matcher_list"]["matchers"][0]["on_match"];
  ExpectRefusedWith(Skip()["xds_matcher"], no_match, kMore);
}

TEST_F(AskedOnce, NeitherARouteNorAllRoutesSkip) {
  const Json skip = Skip();
  ExpectRefusedWith(Host("docs:443")["routes"][1]["typed_per_filter_config"],
                    Json::object({{"envoy.filters.http.ext_authz", skip}}), kMore);
  ExpectRefusedWith(Host("docs:443")["typed_per_filter_config"]["envoy.filters.http.ext_authz"],
                    skip, kMore);
  Body(kRouteType, "bump")["typed_per_filter_config"]["envoy.filters.http.ext_authz"] = skip;
  ExpectRefused(kMore);
}

TEST_F(AskedOnce, WithoutAVirtualHostsSayEveryRequestIsAsked) {
  Json& filter = Body(kListenerType, "bump")[kAuthorizer];
  const std::string order = "in this order";
  ExpectRefusedWith(filter["xds_matcher"], Skip()["xds_matcher"], order);
  Json without = filter;
  without.erase("xds_matcher");
  ExpectRefusedWith(filter, without, order);
  ExpectRefusedWith(filter, filter["extension_config"]["typed_config"], order);
}

// Also where no credential is at stake.
TEST_F(AskedOnce, ASkipStandsInAWholeChainOnly) {
  policy::Policy policy = testing::SmallPolicy();
  policy.credentials.clear();
  for (policy::Destination& destination : policy.destinations) destination.credential.clear();
  resources_ = *BuildStatic(testing::SmallInputs(policy), testing::Types(), Bodies::kKeep);
  Json& filters = Body(kListenerType, "bump")[kAuthorizer.parent_pointer().parent_pointer()];
  ASSERT_EQ(filters.size(), 7u);
  const Json right = filters;
  for (const std::size_t i : {1, 3, 4, 5}) {  // jwt_authn, revoked, rbac, ratelimit
    Json fewer = right;
    fewer.erase(i);
    ExpectRefusedWith(filters, fewer, "in this order");
  }
}

TEST_F(AskedOnce, OnlyCheckVetsATunnel) {
  Json& state = Body(kListenerType, "explicit")[Pointer(
      "/filter_chains/0/filters/0/typed_config/http_filters/2/typed_config/on_request_headers")];
  const Json right = state;
  int vetted = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (right[i]["object_key"] != kVettedState) continue;
    ++vetted;
    Json guests = right;
    guests[i]["format_string"]["text_format_source"]["inline_string"] = "%REQ(x-exeat-vetted)%";
    ExpectRefusedWith(state, guests, "vets a tunnel by more than Check's answer");
    Json twice = right;
    twice.push_back(guests[i]);
    ExpectRefusedWith(state, twice, "vets a tunnel by more than Check's answer");
  }
  EXPECT_EQ(vetted, 1);
}

}  // namespace
}  // namespace exeat::envoy
