#include "envoy/json.h"

#include <utility>

#include "envoy/names.h"

namespace exeat::envoy {

std::string TypeUrl(std::string_view message) {
  return "type.googleapis.com/" + std::string(message);
}

Json Typed(std::string_view message, Json fields) {
  fields["@type"] = TypeUrl(message);
  return fields;
}

Json Extension(std::string_view name, std::string_view message, Json fields) {
  return {{"name", name}, {"typed_config", Typed(message, std::move(fields))}};
}

Json FromAds() { return {{"ads", Json::object()}, {"resource_api_version", "V3"}}; }

Json ControlGrpc(std::string_view timeout) {
  Json service = {{"envoy_grpc", {{"cluster_name", kControlCluster}}}};
  if (!timeout.empty()) service["timeout"] = timeout;
  return service;
}

Json SetHeader(std::string_view key, std::string_view value) {
  return {{"header", {{"key", key}, {"value", value}}},
          {"append_action", "OVERWRITE_IF_EXISTS_OR_ADD"}};
}

Json Exact(std::string_view text) { return Json::object({{"exact", text}}); }

Json Path(std::initializer_list<std::string_view> keys) {
  Json path = Json::array();
  for (const std::string_view key : keys) path.push_back(Json::object({{"key", key}}));
  return path;
}

Json Strings(const std::vector<std::string>& values) {
  Json list = Json::array();
  for (const std::string& value : values) list.push_back(value);
  return list;
}

}  // namespace exeat::envoy
