"""Why the tunnel's token travels inward as a *hashable* object, seen on the real Envoy.

An upstream pool keeps the shared filter state of the request that made it. Only hashable objects
take part in the pool's key; a plain string does not, and then every later guest carries the first
one's identity. The product must therefore never use the plain type; this keeps the reason in view.
"""
import json
import subprocess

import pytest

from harness import h1client
from harness.chain_config import TYPE, free_ports
from harness.edge import envoy
from harness.poll import wait_for

FACTORIES = {"envoy.hashable_string": "hashable", "envoy.string": "plain"}
HCM = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "envoy.filters.http.router",
          "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"}}


def hcm(name, routes, filters=(), **more):
    return {"filter_chains": [{"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {"@type": HCM, "stat_prefix": name, "http_filters": [*filters, ROUTER],
                         "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                                                             "routes": routes}]}, **more}}]}]}


def explicit(factory, port):
    """CONNECT only; the guest's word goes into shared filter state made by `factory`."""
    connect = [{"upgrade_type": "CONNECT"}]
    keep = {"name": "envoy.filters.http.set_filter_state", "typed_config": {
        "@type": TYPE + "envoy.extensions.filters.http.set_filter_state.v3.Config",
        "on_request_headers": [{
            "object_key": "guest", "factory_key": factory, "shared_with_upstream": "ONCE",
            "format_string": {"text_format_source": {"inline_string": "%REQ(x-guest)%"}}}]}}
    routes = [{"match": {"connect_matcher": {}}, "route": {
        "cluster": f"inner-{FACTORIES[factory]}",
        "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}}]
    return {"name": FACTORIES[factory],
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            **hcm(FACTORIES[factory], routes, [keep], upgrade_configs=connect)}


def inner():
    """Says which guest it believes to serve."""
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200},
               "response_headers_to_add": [{"header": {
                   "key": "x-seen", "value": "%FILTER_STATE(guest:PLAIN)%"}}]}]
    return {"name": "inner", "internal_listener": {}, **hcm("inner", routes)}


def cluster(name):
    raw = {"name": "envoy.transport_sockets.raw_buffer", "typed_config": {
        "@type": TYPE + "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}
    return {"name": name, "type": "STATIC", "transport_socket": {
        "name": "envoy.transport_sockets.internal_upstream", "typed_config": {
            "@type": TYPE + "envoy.extensions.transport_sockets.internal_upstream.v3."
                            "InternalUpstreamTransport", "transport_socket": raw}},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{
                "endpoint": {"address": {"envoy_internal_address": {
                    "server_listener_name": "inner"}}}}]}]}}


@pytest.fixture(scope="module")
def ports(directory):
    made = dict(zip(FACTORIES, free_ports(len(FACTORIES))))
    config = directory / "envoy.json"
    config.write_text(json.dumps({
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener", "typed_config": {
                "@type": TYPE + "envoy.extensions.bootstrap.internal_listener.v3."
                                "InternalListener"}}],
        "static_resources": {
            "listeners": [inner(), *(explicit(f, p) for f, p in made.items())],
            "clusters": [cluster(f"inner-{kind}") for kind in FACTORIES.values()]}}))
    with open(directory / "envoy.log", "wb") as log:
        process = subprocess.Popen([envoy(), "-c", str(config), "--concurrency", "1",
                                    "--use-dynamic-base-id", "--log-level", "warning"],
                                   stderr=log)

    def answers():
        assert process.poll() is None, (directory / "envoy.log").read_text()[-2000:]
        try:
            tunnel(made["envoy.hashable_string"], "probe").close()
            return True
        except OSError:
            return False
    wait_for(answers, "the fixture's Envoy answers", 20)
    yield made
    process.terminate()
    process.wait(20)


def tunnel(port, guest):
    stream, answer = h1client.connect(f"127.0.0.1:{port}", "inner:443",
                                      headers=[("x-guest", guest)])
    assert answer.status == 200
    return h1client.H1(stream)


def identities(port):
    """Whom the inside believes to serve, for ten guests with open tunnels at once."""
    guests = [f"guest-{number}" for number in range(10)]
    tunnels = [tunnel(port, guest) for guest in guests]
    seen = [one.request("GET", "/", "inner").header("x-seen") for one in tunnels]
    for one in tunnels:
        one.close()
    return guests, seen


def test_a_hashable_object_keeps_every_guest_apart(ports):
    for _ in range(20):
        guests, seen = identities(ports["envoy.hashable_string"])
        assert seen == guests


def test_a_plain_string_mixes_guests(ports):
    guests, seen = identities(ports["envoy.string"])
    assert seen != guests, "Envoy no longer mixes them: this trap is gone, say so in the ADR"
