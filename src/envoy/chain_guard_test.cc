#include "envoy/chain_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "envoy/build.h"
#include "envoy/json.h"
#include "envoy/testing/built.h"

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;
using Pointer = Json::json_pointer;

const Pointer kManager("/filter_chains/0/filters/0/typed_config");
const Pointer kFilters = kManager / "http_filters";

class ChainGuard : public testing::Built {
 protected:
  Json& Routes() { return Body(kRouteType, "bump"); }
  Json& Cluster(const char* name = "anthropic:443") { return Body(kClusterType, name); }
  Json& HttpFiltersOf(Json& cluster) {
    return cluster["typed_extension_protocol_options"]
                  ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["http_filters"];
  }

  void ExpectRefused(const std::string& why) {
    const base::Status status = CheckChain(resources_);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(base::Message(status), HasSubstr(why));
  }
};

TEST_F(ChainGuard, AcceptsWhatIsBuilt) { EXPECT_TRUE(CheckChain(resources_).ok()); }

TEST_F(ChainGuard, RefusesAClusterAfterTheRoutesThatMayLeadToIt) {
  ChainCheck check;
  const auto see = [&](const char* type, const char* name) {
    return check.See(
        {.type_url = type, .name = name, .body = Body(type, name), .value = "", .version = ""});
  };
  EXPECT_TRUE(see(kClusterType, "openai:443").ok());
  EXPECT_TRUE(see(kRouteType, "bump").ok());
  EXPECT_THAT(base::Message(see(kClusterType, "anthropic:443")), HasSubstr("too late"));
  EXPECT_TRUE(see(kListenerType, "bump").ok());
  EXPECT_THAT(base::Message(see(kRouteType, "bump")), HasSubstr("too late"));
}

TEST_F(ChainGuard, JudgesEveryPartOfARouteConfiguration) {
  ChainCheck check;
  for (const Resource& resource : resources_) {
    if (resource.type_url != kClusterType) continue;
    ASSERT_TRUE(check.See(resource).ok());
  }
  Resource part{
      .type_url = kRouteType, .name = "bump", .body = Routes(), .value = "", .version = ""};
  EXPECT_TRUE(check.See(part).ok());
  part.body.erase("typed_per_filter_config");
  EXPECT_THAT(base::Message(check.See(part)), HasSubstr("not every answer"));
}

TEST_F(ChainGuard, AcceptsOneOrderOfTheFiveThousandAndForty) {
  Json& filters = Listener("bump")[kFilters];
  const Json right = filters;
  std::vector<std::size_t> order(right.size());
  std::iota(order.begin(), order.end(), 0u);
  int accepted = 0, tried = 0;
  do {
    for (std::size_t i = 0; i < order.size(); ++i) filters[i] = right[order[i]];
    accepted += CheckChain(resources_).ok() ? 1 : 0;
    ++tried;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(tried, 5040);
  EXPECT_EQ(accepted, 1);
}

TEST_F(ChainGuard, RefusesAChainThatLacksAnyOne) {
  for (std::size_t i = 0; i < 7; ++i) {
    Json& filters = Listener("bump")[kFilters];
    const Json right = filters;
    filters.erase(i);
    ExpectRefused("in this order");
    filters = right;
  }
}

TEST_F(ChainGuard, RefusesAFilterThatIsSwitchedOffOrOptional) {
  for (const char* key : {"disabled", "is_optional"}) {
    for (std::size_t i = 0; i < 7; ++i) {
      Json& filter = Listener("bump")[kFilters][i];
      filter[key] = true;
      ExpectRefused("in this order");
      filter.erase(key);
    }
  }
}

TEST_F(ChainGuard, RefusesADiscoveredFilterWithADefault) {
  Listener("bump")[kFilters][1]["config_discovery"]["default_config"] = Json::object({{"a", 1}});
  ExpectRefused("in this order");
}

TEST_F(ChainGuard, RefusesAnAuthorizerThatFailsOpen) {
  Listener("bump")[kFilters][2]["typed_config"]["failure_mode_allow"] = true;
  ExpectRefused("ext_authz");
}

TEST_F(ChainGuard, RefusesAnOpenBase) {
  Listener("bump")[kFilters][4]["typed_config"]["rules"]["action"] = "ALLOW";
  ExpectRefused("base rbac");
}

TEST_F(ChainGuard, RefusesACleanerWithAConfigurationOfItsOwn) {
  Listener("bump")[kFilters][0]["typed_config"]["mutations"] = Json::object();
  ExpectRefused("header_mutation");
}

TEST_F(ChainGuard, RefusesRoutesThatDoNotCleanEveryAnswer) {
  Json& overrides = Routes()["typed_per_filter_config"];
  const Json right = overrides;
  Json& mutations = overrides["envoy.filters.http.header_mutation"]["mutations"];
  mutations["response_mutations"].erase(mutations["response_mutations"].size() - 1);
  ExpectRefused("cleaned");
  mutations = right["envoy.filters.http.header_mutation"]["mutations"];
  mutations["request_mutations"] = Json::array();
  ExpectRefused("cleaned");
  mutations.erase("request_mutations");
  mutations["response_mutations"].push_back(
      Json::object({{"append", SetHeader("x-deny-reason", "forged")}}));
  ExpectRefused("cleaned");
  Routes().erase("typed_per_filter_config");
  ExpectRefused("cleaned");
}

TEST_F(ChainGuard, RefusesAVirtualHostWithACleaningOfItsOwn) {
  Routes()["virtual_hosts"][0]["typed_per_filter_config"]["envoy.filters.http.header_mutation"] =
      Json::object();
  ExpectRefused("overrides envoy.filters.http.header_mutation");
}

TEST_F(ChainGuard, RefusesAnUpgradeWithAChainOfItsOwn) {
  Listener("bump")[kManager]["upgrade_configs"][0]["filters"] =
      Json::array({Json::object({{"name", "envoy.filters.http.router"}})});
  ExpectRefused("upgrade");
}

TEST_F(ChainGuard, RefusesARouteThatSwitchesRbacOff) {
  Routes()["virtual_hosts"][0]["routes"][1]["typed_per_filter_config"] = {
      {"envoy.filters.http.rbac", Json::object({{"@type", "x"}})}};
  ExpectRefused("switches rbac off");
}

TEST_F(ChainGuard, RefusesAVirtualHostThatSwitchesExtAuthzOff) {
  Routes()["virtual_hosts"][0]["typed_per_filter_config"]["envoy.filters.http.ext_authz"] =
      Json::object({{"disabled", true}});
  ExpectRefused("ext_authz is skipped");
}

TEST_F(ChainGuard, RefusesAPolicyThatDemandsNoSession) {
  Json& policies = Routes()["virtual_hosts"][0]["typed_per_filter_config"]
                           ["envoy.filters.http.rbac"]["rbac"]["rules"]["policies"];
  policies["anthropic"]["principals"] = Json::array({Json::object({{"any", true}})});
  ExpectRefused("does not demand a session");
}

TEST_F(ChainGuard, RefusesEveryOtherWayToNameACluster) {
  for (const char* key : {"cluster_header", "weighted_clusters", "request_mirror_policies"}) {
    Json& action = Routes()["virtual_hosts"][3]["routes"][1]["route"];
    action[key] = "x";
    ExpectRefused(key);
    action.erase(key);
    Json& connect =
        Listener("explicit")[kManager]["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
    connect[key] = "x";
    ExpectRefused(key);
    connect.erase(key);
  }
}

TEST_F(ChainGuard, RefusesAListenerThatNamesTheCluster) {
  Listener("explicit")["filter_chains"][0]["filters"] =
      Json::array({Extension("tcp", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                             Json::object({{"cluster", "anthropic:443/upgrade"}}))});
  ExpectRefused("names a cluster that injects");
}

TEST_F(ChainGuard, RefusesTheRoutesBehindAnotherManager) {
  Json& manager = Listener("explicit")[kManager];
  manager.erase("route_config");
  manager["rds"] = Json::object({{"route_config_name", "bump"}});
  ExpectRefused("explicit");
}

// CONNECT is let into the chain; behind it only a fixed refusal may stand.
TEST_F(ChainGuard, RefusesATunnelToACluster) {
  Json& route = Routes()["virtual_hosts"][0]["routes"][1];
  const Json right = route;
  route["match"] = {{"connect_matcher", Json::object()}};
  ExpectRefused("raw bytes");
  route = right;
  route["route"]["upgrade_configs"] = Json::array({Json::object({{"upgrade_type", "CONNECT"}})});
  ExpectRefused("raw bytes");
}

TEST_F(ChainGuard, RefusesTheChainWhereAGuestCanDialIt) {
  Listener("bump")["address"] = Listener("transparent")["address"];
  ExpectRefused("dialled from outside");
  Listener("bump").erase("address");
  Listener("bump").erase("internal_listener");
  ExpectRefused("dialled from outside");
}

TEST_F(ChainGuard, RefusesAnInjectorBeforeTheAddressIsChecked) {
  std::swap(HttpFiltersOf(Cluster())[0], HttpFiltersOf(Cluster())[2]);
  ExpectRefused("resolved address");
}

TEST_F(ChainGuard, RefusesACredentialOverUnverifiedTls) {
  Json& common = Cluster()["transport_socket"]["typed_config"]["common_tls_context"];
  common.erase("combined_validation_context");
  ExpectRefused("verified TLS");
  Cluster().erase("transport_socket");
  ExpectRefused("verified TLS");
}

TEST_F(ChainGuard, RefusesACertificateWithoutAGate) {
  for (const char* name : {"bank:443", "s3:443"}) {
    Json& gated = HttpFiltersOf(Cluster(name));
    const Json whole = gated;
    gated.erase(1);
    ExpectRefused("still be attached");
    gated = whole;
  }
  Json& filters = HttpFiltersOf(Cluster("bank:443"));
  const Json right = filters;
  filters[1]["typed_config"]["credential"]["typed_config"]["header"] = "x-other";
  ExpectRefused("still be attached");
  filters = right;
  filters[1]["typed_config"]["allow_request_without_credential"] = true;
  ExpectRefused("still be attached");
}

TEST_F(ChainGuard, RefusesAnInjectorThatLetsPassWithoutACredential) {
  HttpFiltersOf(Cluster())[2]["typed_config"]["allow_request_without_credential"] = true;
  ExpectRefused("still be attached");
}

TEST_F(ChainGuard, RefusesARouteThatIsPickedBeforeTheSessionIsKnown) {
  Json& providers = Body(kExtensionType, "jwt_bump")["typed_config"]["providers"];
  providers["tunnel"].erase("clear_route_cache");
  ExpectRefused("not picked again");
}

TEST_F(ChainGuard, RefusesTokensThatNeedNotBeThere) {
  Json& rules = Body(kExtensionType, "jwt_bump")["typed_config"]["rules"];
  const Json right = rules;
  rules.back()["requires"] = Json::object({{"allow_missing", Json::object()}});
  ExpectRefused("requires no token");
  rules = right;
  rules.erase(rules.size() - 1);
  ExpectRefused("every path");
  rules = Json::array();
  ExpectRefused("no rules");
}

}  // namespace
}  // namespace exeat::envoy
