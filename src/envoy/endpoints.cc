#include "envoy/endpoints.h"

#include <fmt/format.h>

#include <utility>

#include "envoy/json.h"
#include "envoy/routes.h"

namespace exeat::envoy {

base::StatusOr<Resource> BuildEndpoints(const policy::Destination& destination, std::uint16_t port,
                                        const std::vector<policy::IpAddress>& addresses,
                                        const Typing& typing) {
  Json endpoints = Json::array();
  for (const policy::IpAddress& address : addresses) {
    const Json socket = {{"address", address.ToString()}, {"port_value", port}};
    endpoints.push_back({{"endpoint", {{"address", {{"socket_address", socket}}}}}});
  }
  const Json locality = {{"lb_endpoints", std::move(endpoints)}};
  return MakeResource(
      Typed("envoy.config.endpoint.v3.ClusterLoadAssignment",
            {{"cluster_name", ClusterName(destination, port)},
             {"endpoints", Json::array({locality})},
             {"policy", {{"endpoint_stale_after", fmt::format("{}s", kEndpointLease.count())}}}}),
      typing);
}

}  // namespace exeat::envoy
