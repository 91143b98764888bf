// The few shapes that every Envoy resource repeats.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace exeat::envoy {

using Json = nlohmann::json;

// The full type URL of a message, e.g. TypeUrl("envoy.config.cluster.v3.Cluster").
std::string TypeUrl(std::string_view message);
// `fields`, an object, with "@type".
Json Typed(std::string_view message, Json fields = Json::object());
// {"name":..., "typed_config": Typed(...)}, the form of every extension.
Json Extension(std::string_view name, std::string_view message, Json fields = Json::object());
// A config source that means "over the one ADS stream".
Json FromAds();
// {"envoy_grpc": our control plane, "timeout": ...}; no timeout when empty.
Json ControlGrpc(std::string_view timeout = "");
// A header that replaces whatever stood there.
Json SetHeader(std::string_view key, std::string_view value);
// {"exact": text}
Json Exact(std::string_view text);
// A dynamic metadata path: [{"key":...}, ...]
Json Path(std::initializer_list<std::string_view> keys);
Json Strings(const std::vector<std::string>& values);

}  // namespace exeat::envoy
