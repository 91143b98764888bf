#include "envoy/guard_reading.h"

#include <fmt/format.h>

#include <string>

namespace exeat::envoy {

const Json& Member(const Json& object, std::string_view key) {
  static const Json& missing = *new Json();
  if (!object.is_object()) return missing;
  const auto found = object.find(key);
  return found == object.end() ? missing : *found;
}

const Json& At(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* at = &object;
  for (const std::string_view key : path) at = &Member(*at, key);
  return *at;
}

bool IsTrue(const Json& value) { return value.is_boolean() && value.get<bool>(); }

bool HasType(const Json& message, std::string_view type) {
  const Json& url = Member(message, "@type");
  return url.is_string() && url.get_ref<const std::string&>() == TypeUrl(type);
}

void Visit(const Json& node, const std::function<void(const Json&)>& visitor) {
  visitor(node);
  if (!node.is_structured()) return;
  for (const Json& child : node) Visit(child, visitor);
}

bool Names(const Json& node, std::string_view text) {
  bool found = false;
  Visit(node, [&](const Json& at) {
    found |= at.is_string() && at.get_ref<const std::string&>() == text;
  });
  return found;
}

bool MayPassUnasked(const Json& ext_authz, std::string_view type) {
  for (const char* key : {"failure_mode_allow", "shadow_mode"}) {
    if (IsTrue(Member(ext_authz, key))) return true;
  }
  for (const char* key : {"filter_enabled", "filter_enabled_metadata", "deny_at_disable"}) {
    if (!Member(ext_authz, key).is_null()) return true;
  }
  return !HasType(ext_authz, type);
}

base::Status Refuse(std::string_view resource, std::string_view rule) {
  return absl::FailedPreconditionError(fmt::format("{}: {}", resource, rule));
}

}  // namespace exeat::envoy
