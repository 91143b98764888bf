// One xDS resource, ready for the wire.
//
// Shapes:  `value` is what google.protobuf.Any carries; `version` follows the content, so that an
//          unchanged resource is not sent again after a reconnect.
// Never:   `body` of a secret: it holds the name alone, so that a dump cannot show a key.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "envoy/typing.h"

namespace exeat::envoy {

inline constexpr char kListenerType[] = "type.googleapis.com/envoy.config.listener.v3.Listener";
inline constexpr char kClusterType[] = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
inline constexpr char kRouteType[] = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
inline constexpr char kEndpointType[] =
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
inline constexpr char kExtensionType[] =
    "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
inline constexpr char kSecretType[] =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

struct Resource {
  std::string type_url;
  std::string name;
  nlohmann::json body;  // with "@type"
  std::string value;    // the serialized message
  std::string version;  // first 16 hex digits of SHA-256 of `value`; secrets are salted
};

// Types and names `body`, whose "name" or "cluster_name" is the resource's.
base::StatusOr<Resource> MakeResource(nlohmann::json body, const Typing& typing);

// The first 16 hex digits of SHA-256.
std::string VersionOf(std::string_view value);

}  // namespace exeat::envoy
