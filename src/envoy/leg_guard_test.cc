#include "envoy/leg_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "envoy/build.h"
#include "envoy/testing/built.h"

namespace exeat::envoy {
namespace {

using ::testing::HasSubstr;
using Pointer = Json::json_pointer;

const Pointer kManager("/filter_chains/0/filters/0/typed_config");
const Pointer kState("/filter_chains/0/filters/0/typed_config/on_new_connection");
const Pointer kFilters("/filter_chains/0/filters");
const Pointer kAsked("/filter_chains/0/filters/1/typed_config");
const Pointer kProxy("/filter_chains/0/filters/2/typed_config");
const Pointer kConnectState = kManager / "http_filters" / 2 / "typed_config" / "on_request_headers";

class LegGuard : public testing::Built {
 protected:
  Json& Mutations() {
    return Listener(
        "bump")[kManager / "early_header_mutation_extensions" / 0 / "typed_config" / "mutations"];
  }

  void ExpectRefused(const std::string& why) {
    const base::Status status = CheckChain(resources_);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(base::Message(status), HasSubstr(why));
  }
  // `change` is refused, and undone.
  void ExpectRefusedWith(Json& place, const Json& changed, const std::string& why) {
    const Json right = place;
    place = changed;
    ExpectRefused(why);
    place = right;
  }
};

TEST_F(LegGuard, AcceptsWhatIsBuilt) { EXPECT_TRUE(CheckChain(resources_).ok()); }

TEST_F(LegGuard, RefusesEveryOtherWayToTheChain) {
  resources_.push_back(resources_.back());  // a copy of `transparent` under another name
  ASSERT_EQ(resources_.back().name, "transparent");
  resources_.back().name = "third";
  ExpectRefused("third: only the two legs");
  resources_.pop_back();
  Json& route = Body(kRouteType, "bump")["virtual_hosts"][3]["routes"][1]["route"];
  ExpectRefusedWith(route["cluster"], "to_bump", "bump: only the two legs");
  Json& cluster = Body(kClusterType, "docs:443");
  cluster["load_assignment"] = {
      {"endpoint", {{"envoy_internal_address", {{"server_listener_name", "bump"}}}}}};
  ExpectRefused("docs:443: names an internal address");
}

TEST_F(LegGuard, RefusesSharedStateThatIsNotHashable) {
  for (const char* factory : {"envoy.string", ""}) {
    ExpectRefusedWith(Listener("explicit")[kConnectState / 3 / "factory_key"], factory,
                      "not hashable");
    ExpectRefusedWith(Listener("transparent")[kState / 1 / "factory_key"], factory, "not hashable");
  }
  ExpectRefusedWith(Listener("explicit")[kConnectState / 3 / "shared_with_upstream"], "TRANSITIVE",
                    "not hashable");
}

TEST_F(LegGuard, RefusesALegThatCallsItselfTheOther) {
  const Pointer literal("/format_string/text_format_source/inline_string");
  ExpectRefusedWith(Listener("transparent")[kState / 1 / literal], "tunnel", "say its leg");
  ExpectRefusedWith(Listener("explicit")[kConnectState / 1 / literal], "transparent",
                    "carry leg, target");
  ExpectRefusedWith(Listener("explicit")[kConnectState / 3 / literal], "%REQ(x-token)%",
                    "carry leg, target");
}

TEST_F(LegGuard, RefusesATransparentLegThatSaysMoreOrLess) {
  const Json right = Listener("transparent")[kState];
  Json more = right;
  more.push_back(Listener("explicit")[kConnectState / 3]);
  ExpectRefusedWith(Listener("transparent")[kState], more, "or more than that");
  ExpectRefusedWith(Listener("transparent")[kState], Json::array({right[1]}), "guest's address");
  ExpectRefusedWith(Listener("transparent")[kProxy / "cluster"], "docs:443", "elsewhere");
  Json chains = Listener("transparent")["filter_chains"];
  chains.push_back(chains[0]);
  ExpectRefusedWith(Listener("transparent")["filter_chains"], chains, "more than filter state");
}

TEST_F(LegGuard, RefusesATransparentLegThatGoesInwardUnasked) {
  const std::string unasked = "without Check's answer";
  Json& listener = Listener("transparent");
  for (const char* key : {"failure_mode_allow", "shadow_mode"}) {
    ExpectRefusedWith(listener[kAsked / key], true, unasked);
  }
  ExpectRefusedWith(listener[kAsked / "filter_enabled_metadata"], Json::object(), unasked);
  listener[kAsked].erase("filter_enabled_metadata");
  ExpectRefusedWith(listener[kAsked / "grpc_service" / "envoy_grpc" / "cluster_name"], "docs:443",
                    unasked);
  ExpectRefusedWith(listener[kProxy / "upstream_connect_mode"], "IMMEDIATE", unasked);
  const Json right = listener[kFilters];
  Json without = right;
  without.erase(1);
  ExpectRefusedWith(listener[kFilters], without, "or less");
  Json late = right;
  std::swap(late[1], late[2]);
  ExpectRefusedWith(listener[kFilters], late, "leads elsewhere");
  Json http = right;
  http[1] = Listener("explicit")[kManager / "http_filters" / 0];
  ExpectRefusedWith(listener[kFilters], http, unasked);
}

TEST_F(LegGuard, RefusesToAskBeforeTheServerNameIsRead) {
  const std::string unread = "the server name is not read";
  Json& listener = Listener("transparent");
  ExpectRefusedWith(listener["listener_filters"], Json::array(), unread);
  ExpectRefusedWith(listener["listener_filters"], Listener("bump")["listener_filters"], unread);
  ExpectRefusedWith(listener["continue_on_listener_filters_timeout"], true, unread);
  ExpectRefusedWith(listener["listener_filters"][0]["filter_disabled"],
                    Json::object({{"any_match", true}}), unread);
}

TEST_F(LegGuard, RefusesToCarryATokenThatNothingVerified) {
  Json& filters = Listener("explicit")[kManager / "http_filters"];
  const Json right = filters;
  for (std::size_t i = 0; i < 4; ++i) {
    Json fewer = right;
    fewer.erase(i);
    ExpectRefusedWith(filters, fewer, "before it is verified");
    Json off = right;
    off[i]["disabled"] = true;
    ExpectRefusedWith(filters, off, "switched off");
  }
  Json swapped = right;
  std::swap(swapped[1], swapped[2]);
  ExpectRefusedWith(filters, swapped, "before it is verified");
  filters[0]["typed_config"]["failure_mode_allow"] = true;
  ExpectRefused("before it is verified");
}

TEST_F(LegGuard, RefusesATunnelThatIsNotAskedAbout) {
  Json& route =
      Listener("explicit")[kManager / "route_config" / "virtual_hosts" / 0 / "routes" / 0];
  Json& overrides = route["typed_per_filter_config"];
  ExpectRefusedWith(overrides["envoy.filters.http.ext_authz"], Json({{"disabled", true}}),
                    "overrides envoy.filters.http.ext_authz");
  overrides["jwt_connect"] = Json::object({{"disabled", true}});
  ExpectRefused("overrides jwt_connect");
}

TEST_F(LegGuard, RefusesAHeaderOfOursThatIsALiteral) {
  const Json right = Mutations();
  int ours = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (!right[i].contains("append")) continue;
    ++ours;
    Json literal = right;
    literal[i]["append"]["header"]["value"] = "transparent";
    ExpectRefusedWith(Mutations(), literal, "is not what was carried inward");
    Json kept = right;
    kept[i]["append"]["append_action"] = "ADD_IF_ABSENT";
    ExpectRefusedWith(Mutations(), kept, "is not what was carried inward");
    Json fewer = right;
    fewer.erase(i);
    ExpectRefusedWith(Mutations(), fewer, "is not what was carried inward");
  }
  EXPECT_EQ(ours, 5);
}

}  // namespace
}  // namespace exeat::envoy
