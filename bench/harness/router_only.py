"""An Envoy that only routes, with one static leaf for all names: what Envoy itself costs."""
import json

from .chains import HOST
from .origin import ADDRESS

TYPE = "type.googleapis.com/"
TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
BUFFER_BYTES = 65536
INNER = "inner"


def _manager(route, **more):
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3."
                        "HttpConnectionManager",
        "stat_prefix": "router", "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"}}], **more}}


def _tls_params():
    return {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}


def _bumping(certificate, key):
    """A chain that ends TLS and routes what is in it."""
    return {
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": TLS + "DownstreamTlsContext", "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"], "tls_params": _tls_params(),
                "tls_certificates": [{"certificate_chain": {"filename": str(certificate)},
                                      "private_key": {"filename": str(key)}}]}}},
        "filters": [_manager({"match": {"prefix": "/"},
                              "route": {"cluster": "origin", "timeout": "0s"}})]}


def _cluster(name, address, **more):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": [{
                "lb_endpoints": [{"endpoint": {"address": address}}]}]}, **more}


def _origin(trust, origin):
    return _cluster(
        "origin", {"socket_address": {"address": ADDRESS, "port_value": origin.port}},
        transport_socket={"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": TLS + "UpstreamTlsContext", "sni": HOST, "max_session_keys": 0,
            "common_tls_context": {
                "tls_params": _tls_params(),
                "validation_context": {"trusted_ca": {"filename": str(trust)}}}}})


def _listener(port, chain):
    return {"name": "router",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "per_connection_buffer_limit_bytes": BUFFER_BYTES, "filter_chains": [chain]}


def transparent(port, certificate, key, trust, origin):
    """TLS in, routing, TLS out."""
    return json.dumps({"static_resources": {
        "listeners": [_listener(port, _bumping(certificate, key))],
        "clusters": [_origin(trust, origin)]}})


def connect(port, certificate, key, trust, origin):
    """The same inside a CONNECT, behind an internal listener, as exeat does it."""
    tunnel = _manager({"match": {"connect_matcher": {}},
                       "route": {"cluster": INNER, "timeout": "0s", "upgrade_configs": [
                           {"upgrade_type": "CONNECT", "connect_config": {}}]}},
                      upgrade_configs=[{"upgrade_type": "CONNECT"}])
    inner = {"name": INNER, "internal_listener": {},
             "per_connection_buffer_limit_bytes": BUFFER_BYTES,
             "filter_chains": [_bumping(certificate, key)]}
    address = {"envoy_internal_address": {"server_listener_name": INNER}}
    return json.dumps({
        "bootstrap_extensions": [{"name": "envoy.bootstrap.internal_listener", "typed_config": {
            "@type": TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}],
        "static_resources": {
            "listeners": [_listener(port, {"filters": [tunnel]}), inner],
            "clusters": [_origin(trust, origin), _cluster(INNER, address)]}})
