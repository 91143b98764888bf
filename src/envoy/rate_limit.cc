#include "envoy/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "envoy/names.h"

namespace exeat::envoy {
namespace {

constexpr std::uint64_t kNanosPerMinute = 60'000'000'000;
constexpr std::uint64_t kMinFillNanos = 50'000'000;  // Envoy refuses a shorter interval
constexpr std::uint32_t kUnlimited = 1'000'000'000;

Json Bucket(const policy::RateLimit& limit) {
  const std::uint64_t rate = limit.requests_per_minute;
  const std::uint64_t tokens =
      std::max<std::uint64_t>(1, (kMinFillNanos * rate + kNanosPerMinute - 1) / kNanosPerMinute);
  const std::uint64_t nanos = tokens * kNanosPerMinute / rate;
  return {
      {"max_tokens", limit.burst},
      {"tokens_per_fill", tokens},
      {"fill_interval", fmt::format("{}.{:09}s", nanos / 1'000'000'000, nanos % 1'000'000'000)}};
}

Json SessionAction() {
  return {{"metadata",
           {{"descriptor_key", "sid"},
            {"default_value", "none"},
            {"source", "DYNAMIC"},
            {"metadata_key", {{"key", kJwtNamespace}, {"path", Path({kSessionKey, "sid"})}}}}}};
}

// Absent on a route that serves no destination, which then has no such descriptor.
Json DestinationAction() {
  return {{"metadata",
           {{"descriptor_key", "destination"},
            {"source", "ROUTE_ENTRY"},
            {"metadata_key", {{"key", kRouteNamespace}, {"path", Path({kDestinationKey})}}}}}};
}

// An entry without a value stands for every value, each with a bucket of its own.
Json Entry(const char* key, const std::string& value = "") {
  Json entry = Json::object({{"key", key}});
  if (!value.empty()) entry["value"] = value;
  return entry;
}

// Told to the guest in x-ratelimit-*: by this option and not for the whole filter, which would tell
// of the endless bucket where no limit applies.
Json Told(Json actions) {
  return {{"actions", std::move(actions)}, {"x_ratelimit_option", "DRAFT_VERSION_03"}};
}

Json AllOfThem() { return {{"default_value", {{"numerator", 100}, {"denominator", "HUNDRED"}}}}; }

}  // namespace

Json RateLimitFilter(const policy::Policy& policy, std::uint32_t max_live_sessions) {
  Json descriptors = Json::array();
  if (policy.limits.has_value()) {
    descriptors.push_back(
        {{"entries", Json::array({Entry("sid")})}, {"token_bucket", Bucket(*policy.limits)}});
  }
  for (const policy::Destination& destination : policy.destinations) {
    if (!destination.limits.has_value()) continue;
    descriptors.push_back(
        {{"entries", Json::array({Entry("destination", destination.name), Entry("sid")})},
         {"token_bucket", Bucket(*destination.limits)}});
  }
  const std::uint64_t buckets = std::uint64_t{max_live_sessions} * (1 + descriptors.size());
  const Json by_session = Told(Json::array({SessionAction()}));
  const Json by_both = Told(Json::array({DestinationAction(), SessionAction()}));
  Json config = {
      {"stat_prefix", "session"},
      {"token_bucket",
       {{"max_tokens", kUnlimited}, {"tokens_per_fill", kUnlimited}, {"fill_interval", "1s"}}},
      {"filter_enabled", AllOfThem()},
      {"filter_enforced", AllOfThem()},
      {"enable_retry_after_header", true},
      {"max_dynamic_descriptors",
       std::min<std::uint64_t>(buckets, std::numeric_limits<std::uint32_t>::max())},
      {"rate_limits", Json::array({by_session, by_both})},
      {"descriptors", std::move(descriptors)}};
  return Typed(
      "envoy.config.core.v3.TypedExtensionConfig",
      {{"name", kRateLimitFilter},
       {"typed_config", Typed("envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                              std::move(config))}});
}

}  // namespace exeat::envoy
