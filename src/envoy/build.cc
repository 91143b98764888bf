#include "envoy/build.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "envoy/clusters.h"
#include "envoy/jwt_authn.h"
#include "envoy/listeners.h"
#include "envoy/rate_limit.h"
#include "envoy/rbac.h"
#include "envoy/routes.h"

namespace exeat::envoy {
namespace {

std::vector<Json> Listeners(const policy::Policy& policy) {
  std::vector<Json> listeners;
  const auto& [proxy, transparent] = policy.listeners;
  if (proxy.has_value() || transparent.has_value()) listeners.push_back(BumpListener(policy));
  if (proxy.has_value()) listeners.push_back(ExplicitListener(*proxy));
  if (transparent.has_value()) listeners.push_back(TransparentListener(*transparent));
  return listeners;
}

base::Status CheckInputs(const Inputs& inputs) {
  if (inputs.policy == nullptr) return absl::InvalidArgumentError("no policy to build from");
  if (inputs.jwks.empty()) return absl::InvalidArgumentError("no signing keys to verify with");
  if (inputs.session_issuer.empty()) return absl::InvalidArgumentError("no session issuer");
  if (inputs.max_live_sessions == 0) return absl::InvalidArgumentError("no room for sessions");
  for (const policy::Destination& destination : inputs.policy->destinations) {
    if (!destination.credential.empty() &&
        inputs.policy->FindCredential(destination.credential) == nullptr) {
      return absl::InvalidArgumentError("destination " + destination.name +
                                        " names a credential that does not exist");
    }
  }
  return absl::OkStatus();
}

// What a tunnel is vetted for names a host and port alone.
base::Status CheckShared(const std::vector<const policy::Destination*>& serving) {
  for (const policy::Destination* destination : serving) {
    if (serving.size() > 1 && destination->authorize == policy::Authorize::kConnection) {
      return absl::InvalidArgumentError(
          fmt::format("destination {} is asked about once and shares {}", destination->name,
                      destination->host));
    }
  }
  return absl::OkStatus();
}

// How many small messages are typed in one go.
constexpr std::size_t kBatch = 64;

class Builder {
 public:
  Builder(const policy::Policy& policy, const Typing& typing, Bodies bodies)
      : policy_(policy), typing_(typing), bodies_(bodies) {}

  base::Status Add(Resource resource);
  base::Status AddClusters();
  base::Status AddRoutes();
  std::vector<Resource> Take() && { return std::move(built_); }

 private:
  // The clusters that differ in nothing but their destination.
  struct Family {
    Resource finished;  // the last of them, whole
    std::size_t alike = 0;
    std::shared_ptr<const std::string> common;
    std::string common_version;
  };
  base::StatusOr<Family*> FamilyOf(const policy::Credential* credential, Speaks speaks);
  base::Status AddCluster(Family& family, Json own);
  base::Status TypeOwn();
  base::Status AddHosts(Resource& routes, const Json& head, Json hosts);

  const policy::Policy& policy_;
  const Typing& typing_;
  const Bodies bodies_;
  ChainCheck check_;
  std::map<std::pair<const policy::Credential*, Speaks>, Family> families_;
  std::vector<Json> own_;  // of the last clusters in `built_`, not typed yet
  std::vector<const Family*> own_families_;
  std::vector<Resource> built_;
};

base::Status Builder::Add(Resource resource) {
  RETURN_IF_ERROR(check_.See(resource));
  if (bodies_ == Bodies::kDrop) resource.body = nullptr;
  built_.push_back(std::move(resource));
  return absl::OkStatus();
}

base::StatusOr<Builder::Family*> Builder::FamilyOf(const policy::Credential* credential,
                                                   Speaks speaks) {
  const auto [found, is_new] = families_.try_emplace({credential, speaks});
  Family& family = found->second;
  if (!is_new) return &family;
  family.finished.type_url = kClusterType;
  family.finished.body = ClusterCommon(policy_, credential, speaks);
  family.alike = family.finished.body.size();
  ASSIGN_OR_RETURN(std::string common, typing_.ToBinary(family.finished.body));
  family.common_version = VersionOf(common);
  family.common = std::make_shared<const std::string>(std::move(common));
  return &family;
}

base::Status Builder::AddClusters() {
  if (policy_.posture != policy::Posture::kBump) return absl::OkStatus();
  for (const policy::Destination& destination : policy_.destinations) {
    const policy::Credential* credential = policy_.FindCredential(destination.credential);
    for (const std::uint16_t port : destination.ports) {
      for (const Speaks speaks : {Speaks::kAny, Speaks::kHttp1Only}) {
        ASSIGN_OR_RETURN(Family * family, FamilyOf(credential, speaks));
        RETURN_IF_ERROR(AddCluster(*family, ClusterOwn(destination, port, credential, speaks)));
      }
    }
  }
  return TypeOwn();
}

base::Status Builder::AddCluster(Family& family, Json own) {
  Resource& finished = family.finished;
  finished.name = NameOf(own);
  finished.body.update(own);
  // Of a field in both, JSON would take one and protobuf the merge. "@type" is no field.
  if (finished.body.size() != family.alike + own.size() - 1) {
    return absl::InternalError(finished.name + ": a field is common and its own");
  }
  RETURN_IF_ERROR(check_.See(finished));
  Resource resource;
  resource.type_url = kClusterType;
  resource.name = finished.name;
  resource.common = family.common;
  if (bodies_ == Bodies::kKeep) resource.body = finished.body;
  built_.push_back(std::move(resource));
  own_.push_back(std::move(own));
  own_families_.push_back(&family);
  return own_.size() < kBatch ? absl::OkStatus() : TypeOwn();
}

base::Status Builder::TypeOwn() {
  Resource* resource = built_.data() + (built_.size() - own_.size());
  auto values = typing_.ToBinaries(own_);
  if (!values.ok()) return base::Annotate(values.status(), "clusters from " + resource->name);
  for (std::size_t i = 0; i < own_.size(); ++i, ++resource) {
    resource->value = std::move((*values)[i]);
    resource->version = VersionOf(resource->value + own_families_[i]->common_version);
  }
  own_.clear();
  own_families_.clear();
  return absl::OkStatus();
}

// Serialized messages of one type, one after the other, are the message with all their fields.
base::Status Builder::AddRoutes() {
  const Json head = RoutesHead(policy_);
  ASSIGN_OR_RETURN(Resource routes, MakeResource(head, typing_));
  Json hosts = Json::array();
  std::set<std::pair<std::string_view, std::uint16_t>> seen;
  if (policy_.posture == policy::Posture::kBump) {
    for (const policy::Destination& destination : policy_.destinations) {
      for (const std::uint16_t port : destination.ports) {
        if (!seen.emplace(destination.host, port).second) continue;
        const std::vector<const policy::Destination*> serving = policy_.At(destination.host, port);
        RETURN_IF_ERROR(CheckShared(serving));
        hosts.push_back(VirtualHost(policy_, serving, port));
        if (hosts.size() < kBatch) continue;
        RETURN_IF_ERROR(AddHosts(routes, head, std::exchange(hosts, Json::array())));
      }
    }
  }
  hosts.push_back(UnlistedHost());
  RETURN_IF_ERROR(AddHosts(routes, head, std::move(hosts)));
  routes.version = VersionOf(routes.value);
  if (bodies_ == Bodies::kDrop) routes.body = nullptr;
  built_.push_back(std::move(routes));
  return absl::OkStatus();
}

base::Status Builder::AddHosts(Resource& routes, const Json& head, Json hosts) {
  Resource part;
  part.type_url = routes.type_url;
  part.name = routes.name;
  part.body = head;
  part.body["virtual_hosts"] = hosts;
  RETURN_IF_ERROR(check_.See(part));
  const auto value = typing_.ToBinary({{"@type", routes.type_url}, {"virtual_hosts", hosts}});
  if (!value.ok()) return base::Annotate(value.status(), routes.name);
  routes.value += *value;
  if (bodies_ == Bodies::kKeep) {
    for (Json& host : hosts) routes.body["virtual_hosts"].push_back(std::move(host));
  }
  return absl::OkStatus();
}

}  // namespace

base::StatusOr<std::vector<Resource>> BuildStatic(const Inputs& inputs, const Typing& typing,
                                                  Bodies bodies) {
  RETURN_IF_ERROR(CheckInputs(inputs));
  const policy::Policy& policy = *inputs.policy;
  const TokenTrust trust = {inputs.session_issuer, inputs.jwks, policy.sessions.skew.count()};
  Builder builder(policy, typing, bodies);
  ASSIGN_OR_RETURN(Resource trusted, BuildUpstreamTrust(inputs.trust_pem));
  RETURN_IF_ERROR(builder.Add(std::move(trusted)));
  RETURN_IF_ERROR(builder.AddClusters());
  for (Json& body : std::vector<Json>{JwtConnectFilter(trust), JwtBumpFilter(trust),
                                      RateLimitFilter(policy, inputs.max_live_sessions)}) {
    ASSIGN_OR_RETURN(Resource filter, MakeResource(std::move(body), typing));
    RETURN_IF_ERROR(builder.Add(std::move(filter)));
  }
  RETURN_IF_ERROR(builder.AddRoutes());
  for (Json& body : Listeners(policy)) {
    ASSIGN_OR_RETURN(Resource listener, MakeResource(std::move(body), typing));
    RETURN_IF_ERROR(builder.Add(std::move(listener)));
  }
  return std::move(builder).Take();
}

base::StatusOr<Resource> BuildRevoked(const std::vector<std::string>& sids, const Typing& typing) {
  return MakeResource(RevokedFilter(sids), typing);
}

}  // namespace exeat::envoy
