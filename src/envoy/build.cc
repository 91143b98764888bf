#include "envoy/build.h"

#include <utility>

#include "envoy/clusters.h"
#include "envoy/jwt_authn.h"
#include "envoy/listeners.h"
#include "envoy/rate_limit.h"
#include "envoy/rbac.h"
#include "envoy/routes.h"

namespace exeat::envoy {
namespace {

std::vector<Json> Clusters(const policy::Policy& policy) {
  std::vector<Json> clusters;
  if (policy.posture != policy::Posture::kBump) return clusters;
  for (const policy::Destination& destination : policy.destinations) {
    for (const std::uint16_t port : destination.ports) {
      clusters.push_back(DestinationCluster(policy, destination, port, Speaks::kAny));
      clusters.push_back(DestinationCluster(policy, destination, port, Speaks::kHttp1Only));
    }
  }
  return clusters;
}

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

}  // namespace

base::StatusOr<std::vector<Resource>> BuildStatic(const Inputs& inputs, const Typing& typing) {
  RETURN_IF_ERROR(CheckInputs(inputs));
  const policy::Policy& policy = *inputs.policy;
  const TokenTrust trust = {inputs.session_issuer, inputs.jwks, policy.sessions.skew.count()};

  std::vector<Json> bodies = Clusters(policy);
  for (Json& filter : std::vector<Json>{JwtConnectFilter(trust), JwtBumpFilter(trust),
                                        RevokedFilter(inputs.revoked_sids),
                                        RateLimitFilter(policy, inputs.max_live_sessions)}) {
    bodies.push_back(std::move(filter));
  }
  ASSIGN_OR_RETURN(Json routes, BumpRoutes(policy));
  bodies.push_back(std::move(routes));
  for (Json& listener : Listeners(policy)) bodies.push_back(std::move(listener));

  std::vector<Resource> resources;
  ASSIGN_OR_RETURN(Resource trusted, BuildUpstreamTrust(inputs.trust_pem));
  resources.push_back(std::move(trusted));
  for (Json& body : bodies) {
    ASSIGN_OR_RETURN(Resource resource, MakeResource(std::move(body), typing));
    resources.push_back(std::move(resource));
  }
  RETURN_IF_ERROR(CheckChain(resources));
  return resources;
}

base::StatusOr<Resource> BuildRevoked(const std::vector<std::string>& sids, const Typing& typing) {
  return MakeResource(RevokedFilter(sids), typing);
}

}  // namespace exeat::envoy
