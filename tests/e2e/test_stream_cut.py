"""A revoke ends what is open: every kind of stream, on both legs, before its answer is complete."""
import signal
import threading
import time

import pytest

from harness import guest, h2client, streams, transport
from harness.origin_grpc import GrpcOrigin
from harness.poll import holds_for, wait_for
from harness.streams import LEGS
from harness.world import settings, url

GRPC_HOST = "grpc.example.test"
DRAINED_AT_MOST = 1 << 20
QUEUED_AT_LEAST = 1 << 20


@pytest.fixture(scope="module")
def grpc_origin(bench, authority):
    made = GrpcOrigin(authority.issue("grpc", [GRPC_HOST]))
    bench.closers.append(made.close)
    return made


@pytest.fixture(scope="module")
def edge(bench, origin, grpc_origin):
    bench.count_requests = False  # gRPC calls are counted by their own origin
    wanted = settings(bench, origin)
    wanted["destinations"].append({"name": "grpc", "host": GRPC_HOST,
                                   "ports": [grpc_origin.port]})
    wanted["resolver"]["hosts"][GRPC_HOST] = [grpc_origin.address]
    return bench.edge(wanted)


@pytest.fixture
def started(edge, origin, grpc_origin):
    """Starts streams of a kind, and closes them when the test is done."""
    made = []

    def start(kind, leg, session):
        target = url(origin) if kind != "grpc" else f"https://{GRPC_HOST}:{grpc_origin.port}/"
        made.append(streams.bare_tunnel(edge, target, session["token"]) if kind == "tunnel"
                    else streams.start(kind, edge, target, leg, session["token"]))
        return made[-1]
    yield start
    for stream in made:
        stream.close()
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing stays registered")


def streams_of(leg, count=1):
    """How many streams `count` connections with a request each are: a tunnel is one, too."""
    return count * (2 if leg == "connect" else 1)


def cut(edge, *selector):
    """Revokes and returns what became of the streams."""
    _, told = edge.revoke(*selector)
    assert told["uncut"] == 0 and told["ms"] >= 0
    return told["cut"]


# A tunnel without a byte of TLS inside is a stream of the explicit leg alone.
EVERY_KIND = [(kind, leg) for kind in streams.KINDS for leg in LEGS] + [("tunnel", "connect")]


@pytest.mark.parametrize("kind,leg", EVERY_KIND)
def test_a_revoke_ends_the_stream_and_leaves_the_bystanders(edge, origin, started, kind, leg):
    mine, other = edge.session(), edge.session()
    stream, bystander = started(kind, leg, mine), started(kind, leg, other)
    uploads, broken = len(origin.seen(streams.UPLOAD)), len(origin.broken)
    counted = edge.metric("exeat_streams_cut_total")
    each = 1 if kind == "tunnel" else streams_of(leg)
    wait_for(lambda: edge.metric("exeat_open_streams") == 2 * each, "both are registered")

    assert cut(edge, mine["sid"]) == each
    assert stream.reset, "the guest's connection outlives the answer"

    assert stream.broken(), repr(stream.problem)
    if kind == "tunnel":
        inner = guest.speak(edge, bystander.socket, "api.example.test", "1.1")
        assert inner.request("GET", "/", f"api.example.test:{origin.port}").status == 200
        inner.close()
    else:
        assert bystander.lives()
    if kind == "upload":
        wait_for(lambda: len(origin.broken) == broken + 1, "the origin sees a broken body")
        assert len(origin.seen(streams.UPLOAD)) == uploads
    assert edge.metric("exeat_streams_cut_total") == counted + each
    assert edge.metric("exeat_streams_uncut_total") == 0
    left = 0 if kind == "tunnel" else each
    wait_for(lambda: edge.metric("exeat_open_streams") == left, "the bystander's stay registered")


def test_the_cut_is_on_record(edge, started):
    mine = edge.session()
    started("websocket-idle", "connect", mine)
    cut(edge, mine["sid"])
    [record] = [r for r in edge.audit(sid=mine["sid"])
                if r.exeat.get("activity") == "streams_cut"]
    assert record.allowed and record.phase == "outcome"
    assert "2 of 2 open streams ended" in str(record)
    edge.verify_audit()


@pytest.mark.parametrize("leg", LEGS)
def test_every_connection_of_a_session_ends(edge, started, leg):
    mine, other = edge.session(), edge.session()
    own = [started(kind, leg, mine) for kind in ("sse", "websocket-busy", "websocket-idle",
                                                 "download-h2", "upload")]
    bystander = started("websocket-busy", leg, other)
    assert cut(edge, mine["sid"]) == streams_of(leg, len(own))
    assert [stream.reset for stream in own] == [True] * len(own)
    assert all(stream.broken() for stream in own)
    assert bystander.lives()


def test_a_revoke_of_a_subject_ends_the_streams_of_all_its_sessions(edge, started):
    mine = [edge.session(sub="mallory") for _ in range(2)]
    own = [started("sse", leg, session) for session in mine for leg in LEGS]
    bystander = started("sse", "connect", edge.session(sub="alice"))
    assert cut(edge, "--sub", "mallory") == sum(streams_of(leg, 2) for leg in LEGS)
    assert all(stream.reset and stream.broken() for stream in own)
    assert bystander.lives()


def test_a_revoke_of_one_token_leaves_the_sessions_other_token(edge, started):
    from harness import tokens
    mine = edge.session()
    renewed = edge.cli("session", "renew", mine["sid"])
    first, second = started("sse", "connect", mine), started("sse", "connect", renewed)
    assert cut(edge, "--jti", tokens.parts(mine["token"])[1]["jti"]) == streams_of("connect")
    assert first.reset and first.broken()
    assert second.lives()


def test_a_revoke_of_all_ends_every_stream_and_a_restore_lets_new_ones_open(edge, started):
    sessions = [edge.session(), edge.session()]
    own = [started("websocket-busy", leg, session) for leg in LEGS for session in sessions]
    try:
        assert cut(edge, "--all", "--yes") == sum(streams_of(leg, 2) for leg in LEGS)
        assert all(stream.reset and stream.broken() for stream in own)
    finally:
        edge.cli("session", "restore", "--all", "--reason", "test")
    assert started("websocket-busy", "connect", sessions[0]).lives()


@pytest.mark.parametrize("leg", LEGS)
def test_a_restored_session_opens_streams_that_can_be_cut_again(edge, started, leg):
    mine = edge.session()
    for _ in range(2):
        stream = started("sse", leg, mine)
        assert cut(edge, mine["sid"]) == streams_of(leg)
        assert stream.reset
        edge.cli("session", "restore", mine["sid"], "--reason", "test")
    assert started("sse", leg, mine).lives()


def test_a_revoke_with_nothing_open_cuts_nothing(edge, origin):
    mine = edge.session()
    assert guest.get(edge, url(origin), mine["token"]).status == 200
    wait_for(lambda: len(edge.audit(sid=mine["sid"], phase="outcome")) == 2,
             "its tunnel and its request are over")
    assert cut(edge, mine["sid"]) == 0
    assert not [r for r in edge.audit(sid=mine["sid"]) if r.exeat.get("activity") ==
                "streams_cut"]


def test_sessions_that_share_an_http2_connection_end_together(edge, origin):
    """The connection is cut whole: what both of them have on it ends."""
    mine, other = edge.session(), edge.session()
    shared = h2client.proxy_connection(edge.proxy)
    inner = []
    for session in (mine, other):
        tunnel, answer = h2client.open_tunnel(shared, f"api.example.test:{origin.port}",
                                              [guest.basic(session["token"])])
        assert answer.status == 200
        client = guest.speak(edge, tunnel, "api.example.test", "1.1")
        assert client.request("GET", "/", f"api.example.test:{origin.port}").status == 200
        inner.append(client)
    assert cut(edge, mine["sid"]) >= 1
    ended = streams.Stream(shared, lambda: inner[1].request("GET", "/", "api.example.test"),
                           pump=False)
    assert ended.reset and ended.broken()
    assert guest.get(edge, url(origin), other["token"]).status == 200
    shared.close()
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing stays registered")


@pytest.mark.parametrize("leg", LEGS)
def test_a_paused_reader_cannot_drain_what_was_queued(edge, origin, leg):
    mine = edge.session()
    reader = streams.slow_reader(edge, origin, leg, mine["token"])
    ends = reader.getsockname(), reader.getpeername()
    wait_for(lambda: streams.queued_for(*ends) >= QUEUED_AT_LEAST, "megabytes are queued")
    cut(edge, mine["sid"])
    assert streams.queued_for(*ends) == 0
    assert len(transport.read_until_closed(reader)) <= DRAINED_AT_MOST
    reader.close()


@pytest.mark.parametrize("kind,leg", streams.ANSWERS)
def test_an_answer_that_has_ended_cannot_be_drained_either(edge, origin, leg, kind):
    """All of it is in the edge's kernel and no request is open any more."""
    mine = edge.session()
    with streams.unread_answer(edge, origin, leg, mine, kind) as unread:
        cut(edge, mine["sid"])
        unread.assert_lost()


@pytest.mark.parametrize("leg", LEGS)
def test_a_bystander_reads_all_of_its_answer(edge, origin, leg):
    mine, other = edge.session(), edge.session()
    with streams.unread_answer(edge, origin, leg, other, "kept") as unread:
        guest.get(edge, url(origin), mine["token"], leg)
        cut(edge, mine["sid"])
        unread.assert_whole()


@pytest.mark.parametrize("first,second", [LEGS, LEGS[::-1]])
def test_one_port_of_a_guest_hides_no_stream_behind_another(edge, origin, first, second):
    """It may dial both of the edge's addresses from one port."""
    mine, other = edge.session(), edge.session()
    hidden = streams.slow_reader(edge, origin, first, mine["token"])
    wait_for(lambda: edge.metric("exeat_open_streams") == streams_of(first), "it is registered")
    same_port = hidden.getsockname()[1]
    hiding = streams.slow_reader(edge, origin, second, other["token"], port=same_port)
    both = streams_of(first) + streams_of(second)
    wait_for(lambda: edge.metric("exeat_open_streams") == both, "both are registered")
    assert cut(edge, mine["sid"]) == streams_of(first)
    assert streams.Stream(hidden, None, pump=False).reset
    hidden.close()
    hiding.close()
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing stays registered")


def test_what_was_not_seen_to_end_is_cut_again_and_counted_until_it_has(edge, started):
    mine = edge.session()
    stream, envoy = started("sse", "connect", mine), edge.roles()["envoy"]
    envoy.stop()
    try:
        told = edge.run("session", "revoke", mine["sid"], "--json")
        assert told.returncode == 1 and '"uncut":2' in told.stdout.replace(" ", ""), told
        wait_for(lambda: edge.metric("exeat_connections_uncut") == 1, "it is cut again", 5)
    finally:
        envoy.send(signal.SIGCONT)
    wait_for(lambda: edge.metric("exeat_connections_uncut") == 0, "it has ended", 5)
    assert edge.metric("exeat_open_streams") == 0
    assert stream.broken()


@pytest.mark.parametrize("leg", LEGS)
def test_no_stream_that_opens_during_the_revoke_survives_its_answer(edge, origin, leg):
    mine = edge.session()
    opened, refused, stop = [], [], threading.Event()

    def open_many():
        while not stop.is_set():
            try:
                opened.append(streams.start("websocket-idle", edge, url(origin), leg,
                                            mine["token"]))
            except (AssertionError, *streams.BREAKS) as error:
                refused.append(error)
    threads = [threading.Thread(target=open_many) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(opened) >= 10, "streams are being opened")
    cut(edge, mine["sid"])
    alive = [stream for stream in list(opened) if not stream.reset]
    wait_for(lambda: len(refused) >= 6, "new ones are refused")
    stop.set()
    for thread in threads:
        thread.join(10)
    assert alive == [] and [stream for stream in opened if not stream.reset] == []
    for stream in opened:
        stream.close()
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing stays registered")


def test_no_request_is_answered_that_began_after_the_acknowledgement(edge, origin):
    """A short form of the long-run check: many warm connections, one revoke, and all are cut."""
    mine, stop = edge.session(), threading.Event()
    host = f"api.example.test:{origin.port}"
    answered, refused, ended = [], [], []

    def hammer(leg, client, own):
        while not stop.is_set():
            start = time.monotonic()
            try:
                answer = client.request("GET", "/hammer", host, own)
            except streams.BREAKS:
                ended.append(leg)
                return
            if answer.status == 200:
                answered.append(start)
            else:
                refused.append(answer.reason)
    clients = [(leg, *streams.connection(edge, url(origin), leg, mine["token"]))
               for leg in LEGS for _ in range(6)]
    for _, client, own in clients:
        assert client.request("GET", "/hammer", host, own).status == 200
    threads = [threading.Thread(target=hammer, args=made) for made in clients]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answered) > 200, "traffic")
    edge.revoke(mine["sid"])
    acknowledged = time.monotonic()
    for thread in threads:
        thread.join(10)
    stop.set()
    assert [start for start in answered if start > acknowledged] == []
    assert [ended.count(leg) for leg in LEGS] == [6, 6] and set(refused) <= {"session_revoked"}
    for _, client, _ in clients:
        client.close()


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_short_requests_leave_nothing_registered(edge, origin, leg, http):
    mine = edge.session()
    client, own = streams.connection(edge, url(origin), leg, mine["token"], http)
    host = f"api.example.test:{origin.port}"
    for _ in range(20):
        assert client.request("GET", "/", host, own).status == 200
    tunnels = 1 if leg == "connect" else 0
    wait_for(lambda: streams.ended_requests(edge, mine["sid"]) == 20, "their ends were told")
    wait_for(lambda: edge.metric("exeat_open_streams") == tunnels, "the requests are over")
    holds_for(lambda: edge.metric("exeat_open_streams") == tunnels, "and stays so", 0.2)
    client.close()
    for _ in range(5):
        assert guest.get(edge, url(origin), mine["token"], leg, http).status == 200
    wait_for(lambda: streams.ended_requests(edge, mine["sid"]) == 25, "their ends were told")
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing is open")


def test_a_guest_that_hangs_up_leaves_nothing_registered(edge, origin, started):
    mine = edge.session()
    for kind in ("sse", "websocket-idle", "upload", "download-h2"):
        for leg in LEGS:
            started(kind, leg, mine).close()
    wait_for(lambda: streams.ended_requests(edge, mine["sid"]) == 8, "their ends were told")
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing is open")
    assert cut(edge, mine["sid"]) == 0


@pytest.mark.parametrize("leg", LEGS)
def test_a_slow_guest_gets_all_of_an_answer_that_closes(edge, origin, leg):
    size = 5 << 20  # more than the kernel takes: some of it is Envoy's own when the origin is done
    reader = streams.slow_reader(edge, origin, leg, edge.session()["token"], "closed", size)
    ends = reader.getsockname(), reader.getpeername()
    wait_for(lambda: streams.queued_for(*ends) >= QUEUED_AT_LEAST, "megabytes are queued")
    holds_for(lambda: streams.queued_for(*ends) >= QUEUED_AT_LEAST, "the guest is slow", 0.5)
    assert len(transport.read_until_closed(reader)) >= size
    reader.close()
