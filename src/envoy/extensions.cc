#include "envoy/extensions.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "envoy/build.h"
#include "envoy/guard_reading.h"
#include "envoy/json.h"

namespace exeat::envoy {
namespace {

using policy::CredentialKind;

constexpr char kClusterFilters[] = "envoy.filters.http.upstream";
constexpr char kFilterState[] = "filter_state.object";
constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

// The action of the filter that skips another one, which has it without listing it.
constexpr char kSkipFilter[] = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter";

// Types of protobuf itself configure what is no extension, or is one that Envoy does not list.
constexpr std::string_view kOfProtobuf = "google.protobuf.";

void AddType(const Json& message, const char* category, std::set<Need>& needs) {
  const Json& url = Member(message, "@type");
  if (!url.is_string()) return;
  std::string type = url.get<std::string>();
  type.erase(0, type.rfind('/') + 1);
  if (type != kSkipFilter && !type.starts_with(kOfProtobuf))
    needs.insert({std::move(type), category});
}

void AddNode(const Json& node, std::set<Need>& needs) {
  AddType(node, "", needs);
  if (HasType(node, kHttpOptions)) {
    for (const Json& filter : Member(node, "http_filters")) {
      AddType(Member(filter, "typed_config"), kClusterFilters, needs);
      for (const Json& url : At(filter, {"config_discovery", "type_urls"})) {
        AddType({{"@type", url}}, kClusterFilters, needs);
      }
    }
  }
  const Json& key = Member(node, "object_key");
  const Json& factory = Member(node, "factory_key");
  if (key.is_string()) {
    needs.insert({(factory.is_string() ? factory : key).get<std::string>(), kFilterState});
  }
}

bool Has(const CompiledIn& extension, const Need& need) {
  if (!need.category.empty() && extension.category != need.category) return false;
  if (need.category == kFilterState) return extension.name == need.what;
  return std::find(extension.types.begin(), extension.types.end(), need.what) !=
         extension.types.end();
}

// One of everything that shapes what is pushed. Nothing of it is ever sent.
Inputs Everything() {
  policy::Policy policy;
  policy.posture = policy::Posture::kBump;
  policy.listeners = {policy::SocketAddress::Parse("127.0.0.1:1"),
                      policy::SocketAddress::Parse("127.0.0.1:2")};
  policy.limits = policy::RateLimit{1, 1};
  for (const CredentialKind kind :
       {CredentialKind::kBearer, CredentialKind::kMtls, CredentialKind::kAwsSigv4}) {
    const std::string name = fmt::format("d{}", policy.credentials.size());
    policy.credentials.push_back({.name = name, .kind = kind});
    policy.destinations.push_back(
        {.name = name,
         .host = name + ".test",
         .ports = {443},
         .credential = name,
         .grant = "g",
         .allow = {{{.methods = {"GET"}, .path = policy::PathRule::Parse("/**")}}},
         .limits = policy.limits,
         .authorize = policy::Authorize::kConnection});
  }
  return {.policy = std::make_shared<const policy::Policy>(std::move(policy)),
          .jwks = R"({"keys":[]})",
          .trust_pem = "-----BEGIN CERTIFICATE-----\n",
          .session_issuer = "none"};
}

}  // namespace

std::set<Need> NeedsOf(const std::vector<Resource>& resources) {
  std::set<Need> needs;
  for (const Resource& resource : resources) {
    if (!resource.body.is_object()) continue;
    for (const Json& member : resource.body) {
      Visit(member, [&needs](const Json& node) { AddNode(node, needs); });
    }
  }
  return needs;
}

base::StatusOr<std::set<Need>> NeededExtensions(const Typing& typing) {
  ASSIGN_OR_RETURN(const std::vector<Resource> resources,
                   BuildStatic(Everything(), typing, Bodies::kKeep));
  return NeedsOf(resources);
}

std::vector<std::string> Missing(const std::set<Need>& needed, const std::vector<CompiledIn>& has) {
  std::vector<std::string> missing;
  for (const Need& need : needed) {
    const bool there =
        std::any_of(has.begin(), has.end(), [&need](const auto& one) { return Has(one, need); });
    if (there) continue;
    missing.push_back(need.category.empty() ? need.what
                                            : fmt::format("{} ({})", need.what, need.category));
  }
  return missing;
}

}  // namespace exeat::envoy
