// One xDS resource, ready for the wire.
//
// Shapes:  `value`, and after it `common` when there is one, is what google.protobuf.Any carries:
//          of two serialized messages one after the other protobuf reads the merge. Thousands of
//          clusters share one `common`. `version` follows the content, so that an unchanged
//          resource is not sent again after a reconnect. `body` is gone where its maker was not
//          told to keep it: for thousands of destinations it would be most of the memory.
// Never:   `body` of a secret: it holds the name alone, so that a dump cannot show a key.
#pragma once

#include <memory>
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
  std::string value;    // the serialized message, or what of it is this resource's own
  std::string version;  // first 16 hex digits of SHA-256 of the content; secrets are salted
  std::shared_ptr<const std::string> common = nullptr;
};

enum class Bodies { kDrop, kKeep };

// `value` and `common` in one: the whole message.
std::string WholeValue(const Resource& resource);

// Types and names `body`, whose "name" or "cluster_name" is the resource's.
base::StatusOr<Resource> MakeResource(nlohmann::json body, const Typing& typing);

// The name that `body` gives its resource, or "".
std::string NameOf(const nlohmann::json& body);

// The first 16 hex digits of SHA-256.
std::string VersionOf(std::string_view value);

}  // namespace exeat::envoy
