// An ext_authz CheckRequest as the facts that a decision is made from.
//
// Shapes:    views into the request, which must outlive them.
// Fail mode: an unknown leg is taken for `connect`, where nothing but CONNECT can be allowed.
// Source:    docs/walkthroughs/request.md
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "authz/decision.h"
#include "base/socket_id.h"
#include "envoy/service/auth/v3/external_auth.pb.h"

namespace exeat::rpc {

struct CheckFacts {
  authz::Facts facts;
  std::string_view request_id;  // x-request-id, equal to the access log's stream id
  std::string source;           // guest ip:port, for the record only: never identity
};

// Both ends of the guest's own connection, as Envoy accepted it.
struct Connection {
  base::SocketEnd local;
  base::SocketEnd remote;
};
// The guest's end as text, "IP:PORT": the one name of a connection, in records and among the open
// streams, whichever question of Envoy's it is read from.
std::string PeerOf(const ::envoy::service::auth::v3::CheckRequest& request);

// nullopt when Envoy names an end that is no IP address and port.
std::optional<Connection> ConnectionOf(const ::envoy::service::auth::v3::CheckRequest& request);

CheckFacts FactsOf(const ::envoy::service::auth::v3::CheckRequest& request, base::UnixSeconds now);

}  // namespace exeat::rpc
