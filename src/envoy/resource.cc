#include "envoy/resource.h"

#include <utility>

#include "crypto/digest.h"

namespace exeat::envoy {

std::string VersionOf(std::string_view value) { return crypto::Sha256Hex(value).substr(0, 16); }

std::string WholeValue(const Resource& resource) {
  return resource.common == nullptr ? resource.value : resource.value + *resource.common;
}

std::string NameOf(const nlohmann::json& body) {
  for (const char* key : {"name", "cluster_name"}) {
    if (const auto name = body.find(key); name != body.end() && name->is_string()) {
      return name->get<std::string>();
    }
  }
  return "";
}

base::StatusOr<Resource> MakeResource(nlohmann::json body, const Typing& typing) {
  Resource resource;
  resource.name = NameOf(body);
  if (resource.name.empty()) return absl::InvalidArgumentError("an Envoy resource without a name");
  auto value = typing.ToBinary(body);
  if (!value.ok()) return base::Annotate(value.status(), resource.name);
  resource.type_url = body["@type"].get<std::string>();
  resource.value = *std::move(value);
  resource.version = VersionOf(resource.value);
  resource.body = std::move(body);
  return resource;
}

}  // namespace exeat::envoy
