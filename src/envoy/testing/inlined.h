// A bootstrap that holds every resource statically: `envoy --mode validate` reads no dynamic one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "envoy/build.h"
#include "envoy/json.h"

namespace exeat::envoy::testing {

inline std::map<std::string, Json> BodiesOf(const std::vector<Resource>& resources,
                                            const char* type_url) {
  std::map<std::string, Json> bodies;
  for (const Resource& resource : resources) {
    if (resource.type_url == type_url) bodies[resource.name] = resource.body;
  }
  return bodies;
}

// Replaces route and filter discovery by what would be discovered.
inline void Inline(Json& node, const std::map<std::string, Json>& routes,
                   const std::map<std::string, Json>& filters) {
  if (node.is_object() && node.contains("rds")) {
    Json route = routes.at(node["rds"]["route_config_name"].get<std::string>());
    route.erase("@type");
    node["route_config"] = std::move(route);
    node.erase("rds");
  }
  if (node.is_object() && node.contains("config_discovery")) {
    node["typed_config"] = filters.at(node["name"].get<std::string>())["typed_config"];
    node.erase("config_discovery");
  }
  if (!node.is_structured()) return;
  for (Json& child : node) Inline(child, routes, filters);
}

inline Json Inlined(const std::vector<Resource>& resources, const std::string& bootstrap) {
  Json whole = Json::parse(bootstrap);
  whole["dynamic_resources"].erase("lds_config");
  whole["dynamic_resources"].erase("cds_config");
  const auto routes = BodiesOf(resources, kRouteType);
  const auto filters = BodiesOf(resources, kExtensionType);
  for (auto& [name, body] : BodiesOf(resources, kClusterType)) {
    body.erase("@type");
    Inline(body, routes, filters);
    whole["static_resources"]["clusters"].push_back(body);
  }
  for (auto& [name, body] : BodiesOf(resources, kListenerType)) {
    Json listener = body;
    listener.erase("@type");
    Inline(listener, routes, filters);
    whole["static_resources"]["listeners"].push_back(std::move(listener));
  }
  return whole;
}

}  // namespace exeat::envoy::testing
