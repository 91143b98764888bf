"""A static Envoy with one listener for each order of the chain, all filters in one list."""
import json
import socket

JWT = "envoy.filters.http.jwt_authn"
TYPE = "type.googleapis.com/"
HTTP = TYPE + "envoy.extensions.filters.http."
FULL = ("jwt_authn", "ext_authz", "rbac", "ratelimit", "credential_injector")
CREDENTIAL = "sk-attached-by-the-edge"
LIMIT = 2


def _claim(*path):
    return {"sourced_metadata": {"metadata_source": "DYNAMIC", "metadata_matcher": {
        "filter": JWT, "path": [{"key": "session"}, {"key": path[0]}], "value": path[1]}}}


def _jwt_authn(jwks, opened):
    provider = {"issuer": "chain", "audiences": ["exeat"], "require_expiration": True,
                "local_jwks": {"inline_string": jwks},
                "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                "payload_in_metadata": "session"}
    requires = {"allow_missing_or_failed": {}} if opened else {"provider_name": "session"}
    return {"@type": HTTP + "jwt_authn.v3.JwtAuthentication", "providers": {"session": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": requires}]}


def _ext_authz(_, opened):
    del opened  # held open by the path, see ChainAuthz
    return {"@type": HTTP + "ext_authz.v3.ExtAuthz", "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "authz"}, "timeout": "5s"},
            "failure_mode_allow": False, "metadata_context_namespaces": [JWT]}


def _rbac(_, opened):
    principal = {"any": True} if opened else _claim(
        "grants", {"list_match": {"one_of": {"string_match": {"exact": "granted"}}}})
    # What is under /ungranted nobody holds a grant for.
    barred = {"not_rule": {"url_path": {"path": {"prefix": "/ungranted"}}}}
    return {"@type": HTTP + "rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": {"grant": {
        "permissions": [{"any": True} if opened else barred], "principals": [principal]}}}}


def _ratelimit(_, opened):
    percent = {"default_value": {"numerator": 0 if opened else 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": LIMIT, "tokens_per_fill": 1, "fill_interval": "3600s"}
    return {"@type": HTTP + "local_ratelimit.v3.LocalRateLimit", "stat_prefix": "session",
            "token_bucket": {"max_tokens": 100000, "tokens_per_fill": 100000,
                             "fill_interval": "1s"},
            "filter_enabled": percent, "filter_enforced": percent,
            "max_dynamic_descriptors": 1000,
            "rate_limits": [{"actions": [{"metadata": {
                "descriptor_key": "sid", "default_value": "none", "source": "DYNAMIC",
                "metadata_key": {"key": JWT, "path": [{"key": "session"}, {"key": "sid"}]}}}]}],
            "descriptors": [{"entries": [{"key": "sid"}], "token_bucket": bucket}]}


def _credential_injector(_, opened):
    del opened
    return {"@type": HTTP + "credential_injector.v3.CredentialInjector", "overwrite": True,
            "credential": {"name": "envoy.http.injected_credentials.generic", "typed_config": {
                "@type": TYPE + "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "header": "x-credential", "credential": {"name": "real"}}}}


FILTERS = {"jwt_authn": _jwt_authn, "ext_authz": _ext_authz, "rbac": _rbac,
           "ratelimit": _ratelimit, "credential_injector": _credential_injector}
NAMES = {"ratelimit": "local_ratelimit"}


def _filter(name, jwks, opened):
    return {"name": f"envoy.filters.http.{NAMES.get(name, name)}",
            "typed_config": FILTERS[name](jwks, opened)}


def _listener(name, port, order, opened, jwks, log):
    router = {"name": "envoy.filters.http.router",
              "typed_config": {"@type": HTTP + "router.v3.Router"}}
    fields = {"path": "%REQ(:path)%", "code": "%RESPONSE_CODE%",
              "credential": "%REQ(x-credential)%"}
    return {"name": name, "address": {"socket_address": {"address": "127.0.0.1",
                                                         "port_value": port}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3."
                                    "HttpConnectionManager",
                    "stat_prefix": name,
                    "access_log": [{"name": "file", "typed_config": {
                        "@type": TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": str(log), "log_format": {"json_format": fields}}}],
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}]}]},
                    "http_filters": [*(_filter(f, jwks, f in opened) for f in order),
                                     router]}}]}]}


def _cluster(name, address, http2=False):
    made = {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
            "address": address}}]}]}}
    if http2:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}}}
    return made


def origin_cluster(address, port, trust):
    made = _cluster("origin", {"socket_address": {"address": address, "port_value": port}})
    made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(trust)}}}}}
    return made


def bootstrap(listeners, authz_socket, origin, jwks, log):
    """`listeners`: (name, port, order, opened gates)."""
    return json.dumps({
        "admin": {"address": {"pipe": {"path": str(authz_socket) + ".admin"}}},
        "static_resources": {
            "listeners": [_listener(name, port, order, opened, jwks, log)
                          for name, port, order, opened in listeners],
            "clusters": [_cluster("authz", {"pipe": {"path": str(authz_socket)}}, http2=True),
                         origin],
            "secrets": [{"name": "real", "generic_secret": {
                "secret": {"inline_string": CREDENTIAL}}}]}})


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
