"""What is judged before any byte of a redirected connection goes inward: the name, and how fast one
source brings new ones. And where a guest came from is said alike by every record of it."""
import signal
import ssl
import time

import pytest

from harness import guest, h1client, h2client, processes, transport
from harness.edge import policy
from harness.poll import holds_for, wait_for

NAMES = 100
A_MINUTE = 60  # new names a source
FORWARDED = [("x-forwarded-for", "203.0.113.9"), ("x-envoy-external-address", "203.0.113.9"),
             ("forwarded", "for=203.0.113.9")]


@pytest.fixture(scope="module")
def settings(bench, origin):
    hosts = {f"n{n}.new.test": origin.address for n in range(NAMES)}
    hosts["api.example.test"] = origin.address
    return policy(bench.authority.certificate, hosts, [
        {"name": name.split(".")[0], "host": name, "ports": [origin.port]} for name in hosts])


@pytest.fixture(scope="module")
def edge(bench, settings):
    bench.count_requests = False  # two edges on one origin
    return bench.edge(settings)


@pytest.fixture(scope="module")
def edge_v6(bench, settings):
    listeners = {"proxy": "[::1]:0", "transparent": "[::1]:0"}
    return bench.edge({**settings, "listeners": listeners}, name="v6")


def ends(stream):
    address, port = stream.getsockname()[:2]
    return {"ip": address, "port": port}


def client_hello(name):
    outgoing = ssl.MemoryBIO()
    client = transport.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def hello(stream, name):
    """The first bytes that come back for a ClientHello with this name."""
    stream.sendall(client_hello(name))
    stream.settimeout(8)
    return transport.read_until_closed(stream)


def records(edge, source, **having):
    return [r for r in edge.audit(**having) if r.get("src_endpoint") == source]


def handshake(edge, name, source):
    """The guest's end of the connection, and whether it got a leaf."""
    stream = transport.dial(edge.transparent, (source, 0))
    mine = ends(stream)
    try:
        transport.tls(stream, name, edge.ca).close()
        return mine, True
    except OSError:
        return mine, False
    finally:
        stream.close()


def only_record(edge, source):
    """The one record of a connection; a second would come with the access log's next flush."""
    wait_for(lambda: records(edge, source), f"a record of {source}")
    holds_for(lambda: len(records(edge, source)) == 1, f"one record of {source}", 0.5)
    [record] = records(edge, source)
    assert record.denied and record.class_uid == 4001
    return record


@pytest.mark.parametrize("name", ["unlisted.example.test", None, "n0.new.test.evil"])
def test_an_unlisted_name_is_refused_unheard_and_recorded_once(edge, name):
    refused = edge.metric("exeat_connections_refused_total")
    stream = transport.dial(edge.transparent)
    mine = ends(stream)
    assert hello(stream, name) == b""
    stream.close()
    record = only_record(edge, mine)
    assert record.reason == "destination_not_allowed"
    assert record["dst_endpoint"]["hostname"] == (name or "unknown")
    assert edge.metric("exeat_connections_refused_total") == refused + 1


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n",
                                  client_hello("aaaa.test").replace(b"aaaa", b"\xff\xfe\n\""),
                                  client_hello("a" * 63 + ".test")], ids=["http", "bytes", "long"])
def test_whatever_comes_first_is_refused_and_recorded_once(edge, sent):
    stream = transport.dial(edge.transparent)
    mine = ends(stream)
    stream.sendall(sent)
    stream.settimeout(8)
    assert transport.read_until_closed(stream) == b""
    stream.close()
    assert only_record(edge, mine).reason == "destination_not_allowed"


def test_one_source_cannot_take_the_new_names_of_others(edge):
    assert handshake(edge, "api.example.test", "127.0.40.1")[1]
    begun = time.monotonic()
    got = {n: handshake(edge, f"n{n}.new.test", "127.0.40.1") for n in range(NAMES - 2)}
    refilled = (time.monotonic() - begun) * A_MINUTE / 60
    served = [n for n, (_, leaf) in got.items() if leaf]
    refused = [mine for mine, leaf in got.values() if not leaf]
    assert A_MINUTE - 1 <= len(served) <= A_MINUTE + refilled + 1
    assert refused
    # Held names go on, and so does another source with new ones.
    assert handshake(edge, "api.example.test", "127.0.40.1")[1]
    assert handshake(edge, f"n{served[0]}.new.test", "127.0.40.1")[1]
    assert handshake(edge, f"n{NAMES - 1}.new.test", "127.0.40.2")[1]
    recorded = [r for r in edge.audit(reason="rate_limited")
                if r["src_endpoint"]["ip"] == "127.0.40.1"]
    assert sorted(r["src_endpoint"]["port"] for r in recorded) == sorted(
        mine["port"] for mine in refused)
    assert all(r.denied and r.class_uid == 4001 for r in recorded)
    signed = {r["dst_endpoint"]["hostname"] for r in edge.audit() if r.class_uid == 6003 and
              "dst_endpoint" in r}
    assert not signed & {f"n{n}.new.test" for n, (_, leaf) in got.items() if not leaf}


def by_connect_1(edge, target, token):
    stream, answer = h1client.connect(edge.proxy, target, [guest.basic(token)], headers=FORWARDED)
    assert answer.status == 200
    return stream, ends(stream)


def by_connect_2(edge, target, token):
    connection = h2client.proxy_connection(edge.proxy)
    mine = ends(connection.stream)
    stream = connection.start("CONNECT", "", target, [
        ("proxy-authorization", guest.basic(token)), *FORWARDED], end=False)
    assert connection.head(stream).status == 200
    return h2client.H2Tunnel(connection, stream), mine


def redirected(edge, *_):
    stream = transport.dial(edge.transparent)
    return stream, ends(stream)


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("way", [by_connect_1, by_connect_2, redirected])
@pytest.mark.parametrize("family", ["edge", "edge_v6"])
def test_every_record_says_the_same_true_source(request, origin, family, way, http):
    """It is by this text that a session's streams are found again on the guest's socket."""
    edge = request.getfixturevalue(family)
    session = edge.session()
    host = f"api.example.test:{origin.port}"
    stream, mine = way(edge, host, session["token"])
    client = guest.speak(edge, stream, "api.example.test", http)
    own = [("x-exeat-session", session["token"])]
    assert client.request("GET", "/source", host, own + FORWARDED).status == 200
    client.close()
    wanted = 2 if way is redirected else 3  # intents of CONNECT and request, its outcome
    wait_for(lambda: len(edge.audit(sid=session["sid"])) >= wanted + 1, "the records")
    sources = [r["src_endpoint"] for r in edge.audit(sid=session["sid"]) if r.class_uid == 4002]
    assert len(sources) >= wanted and sources == [mine] * len(sources)


def recovered(edge):
    try:
        return handshake(edge, "api.example.test", "127.0.0.1")[1]
    except OSError:
        return False


def test_without_an_answer_nothing_goes_inward(edge):
    """Control hangs: also a name whose leaf Envoy holds is refused before a byte of TLS."""
    assert handshake(edge, "api.example.test", "127.0.0.1")[1]
    control = edge.roles()["control"]
    control.send(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        stream = transport.dial(edge.transparent)
        assert hello(stream, "api.example.test") == b""
        assert time.monotonic() - begun < 4
        stream.close()
    finally:
        for process in processes.descendants(edge.process.pid):
            process.send(signal.SIGCONT)
    wait_for(lambda: recovered(edge), "it recovers", 20, 0.1)
