// Names that Envoy's configuration and the services it calls must spell alike.
//
// Why here:  a header that one side writes and the other reads under another name is a hole.
// Trust:     the x-exeat-* headers below are written by the early header mutation of our own
//            listeners after the guest's copies are removed, so a Check may believe them.
// Source:    docs/walkthroughs/request.md
#pragma once

namespace exeat::envoy {

// Clusters of the bootstrap.
inline constexpr char kControlCluster[] = "exeat_control";  // ADS, ext_authz, access log
inline constexpr char kBumpCluster[] = "to_bump";           // the internal listener, for both legs

// Listeners.
inline constexpr char kExplicitListener[] = "explicit";
inline constexpr char kTransparentListener[] = "transparent";
inline constexpr char kBumpListener[] = "bump";

inline constexpr char kRouteConfig[] = "bump";
inline constexpr char kUpstreamTrustSecret[] = "upstream_trust";

// Filters that travel as ECDS.
inline constexpr char kJwtBumpFilter[] = "jwt_bump";
inline constexpr char kJwtConnectFilter[] = "jwt_connect";
inline constexpr char kRevokedFilter[] = "revoked";
inline constexpr char kRateLimitFilter[] = "ratelimit";

// Which leg a request came by. Inside, filter state of the outer listener says it; absent state
// reads "-", which is no leg.
inline constexpr char kLegHeader[] = "x-exeat-leg";
inline constexpr char kLegConnect[] = "connect";          // the CONNECT request itself
inline constexpr char kLegTunnel[] = "tunnel";            // a request inside that tunnel
inline constexpr char kLegTransparent[] = "transparent";  // a request on a redirected connection
// Tunnel leg only: "Bearer TOKEN" as verified at CONNECT, and the CONNECT target.
inline constexpr char kTunnelHeader[] = "x-exeat-tunnel";
inline constexpr char kTargetHeader[] = "x-exeat-target";
// What this tunnel was vetted for at CONNECT, HOST:PORT, or "-" (asked_once.h).
inline constexpr char kVettedHeader[] = "x-exeat-vetted";
// The SNI of the connection, lower case; routes compare it with the destination's host.
inline constexpr char kSniHeader[] = "x-exeat-sni";
// Where a guest may put its token beside the usual places.
inline constexpr char kSessionHeader[] = "x-exeat-session";
// Stands only between two filters of a destination's cluster (credential_filters.h).
inline constexpr char kGateHeader[] = "x-exeat-gate";
inline constexpr char kDenyReasonHeader[] = "x-deny-reason";
// Check's word to the router: how long a stream that cannot be cut may last, in milliseconds.
inline constexpr char kStreamDurationHeader[] = "x-envoy-upstream-stream-duration-ms";

// Filter state carried over the internal hop. The leg is always there; tunnel and target only
// behind `explicit`; the last two only in a tunnel that Check has vetted (asked_once.h).
inline constexpr char kLegState[] = "exeat.leg";
inline constexpr char kTunnelState[] = "exeat.tunnel";
inline constexpr char kTargetState[] = "exeat.target";
inline constexpr char kVettedState[] = "exeat.vetted";       // the destination, HOST:PORT
inline constexpr char kVettedByState[] = "exeat.vetted_by";  // the CONNECT's x-request-id

// Metadata that jwt_authn writes: namespace, the session's claims, and those of a second token.
inline constexpr char kJwtNamespace[] = "envoy.filters.http.jwt_authn";
inline constexpr char kSessionKey[] = "session";
inline constexpr char kBesideKey[] = "beside";

// The filter that asks Check, and the namespace of the metadata that Check writes at the CONNECT of
// a vetted tunnel.
inline constexpr char kExtAuthzFilter[] = "envoy.filters.http.ext_authz";
inline constexpr char kVettedKey[] = "vetted";
inline constexpr char kVettedByKey[] = "vetted_by";

// Route metadata: which destination a route serves.
inline constexpr char kRouteNamespace[] = "exeat";
inline constexpr char kDestinationKey[] = "destination";

// In each access log entry, the leg as above, and kVettedByState or "-"; "l4" log names hold
// connections closed before TLS.
inline constexpr char kHttpLogName[] = "exeat.http";
inline constexpr char kConnectionLogName[] = "exeat.l4";
inline constexpr char kLegTag[] = "leg";
inline constexpr char kVettedByTag[] = "vetted_by";

}  // namespace exeat::envoy
