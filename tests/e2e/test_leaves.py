"""Leaves: minted on demand, bounded in number, never for a name the policy does not allow."""
import concurrent.futures
import time

import pytest

from harness import guest, transport
from harness.edge import policy
from harness.poll import wait_for

NAMES = 5000


@pytest.fixture(scope="module")
def edge(bench, origin):
    hosts = {f"n{n}.flood.test": origin.address for n in range(NAMES)}
    hosts["api.example.test"] = origin.address
    destinations = [{"name": f"n{n}", "host": f"n{n}.flood.test", "ports": [origin.port]}
                    for n in range(NAMES)]
    destinations.append({"name": "api", "host": "api.example.test", "ports": [origin.port]})
    made = bench.edge(policy(bench.authority.certificate, hosts, destinations), start=False)
    made.start(timeout_s=120)
    return made


def handshake(edge, name, source=None):
    """The leaf's DER, or None when the handshake was refused."""
    try:
        secured = transport.tls(transport.dial(edge.transparent, source), name, edge.ca)
    except OSError:
        return None
    leaf = secured.getpeercert(True)
    secured.close()
    return leaf


def test_the_same_name_gets_the_same_leaf_and_another_name_another(edge):
    first = handshake(edge, "api.example.test")
    assert first is not None and handshake(edge, "api.example.test") == first
    assert handshake(edge, "n0.flood.test") != first


@pytest.mark.parametrize("name", [
    "api.example.test" + "." + "a" * 63, "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." +
    "d" * 63, "_nosni", "*.flood.test", "n0.flood.test.evil", "n5000.flood.test",
    "flood.test"])
def test_unlisted_or_odd_names_are_never_minted(edge, name):
    before = [r for r in edge.audit() if r.class_uid == 6003]
    assert handshake(edge, name) is None
    assert len([r for r in edge.audit() if r.class_uid == 6003]) == len(before)


def test_a_flood_of_listed_names_is_bounded(edge, origin):
    """From many sources, since new names are bounded per source: all are served or refused at
    once, memory stays bounded, and known names go on working."""
    envoy = edge.roles()["envoy"]
    handshake(edge, "api.example.test")
    started, before_kb = time.monotonic(), envoy.rss_kb()
    slowest = [0.0]

    def one(number):
        begun = time.monotonic()
        leaf = handshake(edge, f"n{number}.flood.test", (f"127.0.{1 + number // 50}.1", 0))
        slowest[0] = max(slowest[0], time.monotonic() - begun)
        return leaf is not None
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        served = sum(pool.map(one, range(NAMES)))
    print(f"{served} of {NAMES} names served in {time.monotonic() - started:.0f} s, "
          f"slowest {slowest[0]:.2f} s, Envoy grew by {envoy.rss_kb() - before_kb} kB")
    assert served > 0
    assert slowest[0] < 4.5, "a name was neither served nor refused at once"
    assert envoy.running and edge.roles()["envoy"].pid == envoy.pid
    assert envoy.rss_kb() - before_kb < 400_000
    assert handshake(edge, "api.example.test") is not None
    assert guest.get(edge, f"https://api.example.test:{origin.port}/", edge.token()).status == 200


def test_one_source_cannot_take_all_new_names(edge):
    """After its share, new names of one source are refused at once; another's go on."""
    refused = 0
    for number in range(1500):
        if handshake(edge, f"n{number}.flood.test", ("127.0.200.1", 0)) is None:
            refused += 1
            if refused > 3:
                break
    leaves = edge.metric("exeat_leaves_cached")
    assert refused > 0 or leaves <= 5000
    assert handshake(edge, "api.example.test", ("127.0.201.1", 0)) is not None


def test_idle_leaves_do_not_pile_up_beyond_the_cap(edge):
    count = wait_for(lambda: edge.metric("exeat_leaves_cached"),
                     "a gauge of leaves")
    assert count <= NAMES
