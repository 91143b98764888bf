"""Where open streams cannot be cut at their sockets, each ends by itself within a bound that the
edge states everywhere; or none opens, where the policy wants nothing but a cut."""
import json
import re

import pytest

from harness import guest, streams
from harness.poll import wait_for
from harness.streams import LEGS
from harness.world import assert_denied, settings, url

LASTS_S = 20
BOUND_S = LASTS_S + 15  # and what it may take to connect
SLACK_S = 15  # Envoy waits 5 s for a guest to take the end; and a busy machine
NO_MEANS = ("net_admin", "pidfd_getfd")
# How an edge comes to bound its streams: streams.cut, and what the machine lacks.
BOUNDED = {"not-permitted": ("auto", NO_MEANS), "no-sock-diag": ("auto", ("sock_diag",)),
           "chosen": ("max_stream_duration", ())}


@pytest.fixture(scope="module")
def edges(bench, origin):
    """Makes each once: streams.cut, what the machine lacks, how long a stream lasts."""
    bench.count_requests = False
    made = {}

    def edge(cut, without, lasts_s=LASTS_S):
        name = f"{cut}-{len(without)}-{lasts_s}"
        if name not in made:
            wanted = settings(bench, origin, sessions={"skew": "0s"}, streams={"cut": cut})
            if cut != "socket":
                wanted["streams"]["max_duration"] = f"{lasts_s}s"
            made[name] = bench.edge(wanted, f"e{len(made)}", without=without)
        return made[name]
    return edge


def means(edge):
    return re.findall(r'"means": ?"([^"]*)"', edge.log())[0]


def check_of(edge, name):
    doctor = json.loads(edge.run("doctor", "--json").stdout)
    return next(check for check in doctor["checks"] if check["name"] == name)


def open_all(edge, origin, token):
    """A stream of every kind on both legs, and a bare tunnel."""
    made = {(kind, leg): streams.start(kind, edge, url(origin), leg, token)
            for kind in streams.KINDS if kind != "grpc" for leg in LEGS}
    return {**made, "tunnel": streams.bare_tunnel(edge, url(origin), token)}


def await_none_open(edge, within_s):
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "every stream has ended", within_s)


@pytest.mark.parametrize("case", BOUNDED)
def test_the_bound_is_stated_at_the_start_in_doctor_and_in_the_metrics(edges, case):
    edge = edges(*BOUNDED[case])
    says = f"every stream ends by itself within {BOUND_S} s"
    assert says in means(edge)
    found = check_of(edge, "streams")
    assert says in found["detail"]
    assert found["ok"] == (case == "chosen"), "a bound that nobody chose is none of health"
    assert edge.metric("exeat_cut_bound_seconds") == BOUND_S
    if case == "no-sock-diag":
        assert "sock_diag" in found["detail"]
    if case != "chosen":
        assert found["detail"].startswith("none") and edge.metric("exeat_stream_cut_means") == 0


@pytest.mark.parametrize("case", BOUNDED)
def test_every_stream_of_a_revoked_session_ends_within_the_bound(edges, origin, case):
    """The neighbour's, too: that is the price."""
    edge = edges(*BOUNDED[case])
    mine, other = edge.session(), edge.session()
    broken = len(origin.broken)
    own = open_all(edge, origin, mine["token"])
    neighbours = open_all(edge, origin, other["token"])
    told = edge.run("session", "revoke", mine["sid"], "--reason", "test", "--json")
    acknowledged, ended = map(json.loads, told.stdout.splitlines())
    assert acknowledged["acknowledged"] is True and told.returncode == 1
    assert ended["uncut"] > 0 and ended["ends_within_s"] == BOUND_S
    assert f"by themselves within {BOUND_S} s" in told.stderr
    assert_denied(guest.get(edge, url(origin), mine["token"]), 403, "session_revoked")
    await_none_open(edge, BOUND_S + SLACK_S)
    assert len(origin.broken) == broken + 2 * len(LEGS), "no upload completes"
    for opened in (own, neighbours):
        refused = opened.pop(("upload", "transparent"))
        assert refused.client.receive_head().status == 504
        refused.close()
        opened.pop("tunnel").close()
        for kind, stream in opened.items():
            assert stream.broken(SLACK_S), f"{kind}: {stream.problem!r}"
            stream.close()
    [record] = [r for r in edge.audit(sid=mine["sid"])
                if r.exeat.get("activity") == "streams_cut"]
    assert not record.allowed and f"end by themselves within {BOUND_S} s" in str(record)
    assert guest.get(edge, url(origin), other["token"]).status == 200


@pytest.mark.parametrize("leg", LEGS)
def test_no_stream_outlives_its_token(edges, origin, leg):
    """Nor may it, where its limit is far away."""
    edge = edges("max_stream_duration", (), 3000)
    own = streams.start("websocket-busy", edge, url(origin), leg, edge.token(ttl="5s"))
    await_none_open(edge, 5 + SLACK_S)
    assert own.broken(SLACK_S)
    own.close()


def test_the_guest_has_no_say_in_it_and_the_origin_hears_nothing_of_it(edges, origin):
    edge = edges("max_stream_duration", (), 2)
    header = "x-envoy-upstream-stream-duration-ms"
    target = f"api.example.test:{origin.port}"
    for leg in LEGS:
        client, own = streams.connection(edge, url(origin), leg, edge.token())
        client.send("GET", f"/download?bytes={streams.ENDLESS}&pause=0.002", target,
                    [(header, "3600000"), *own])
        assert client.receive_head().status == 200
        await_none_open(edge, 2 + 15 + SLACK_S)
        assert origin.requests[-1].header(header) is None
        client.close()


@pytest.mark.parametrize("leg", LEGS)
def test_nothing_opens_where_nothing_but_a_cut_will_do(edges, origin, leg):
    edge = edges("socket", NO_MEANS)
    assert_denied(guest.get(edge, url(origin), edge.token(), leg), 503, "stream_uncuttable")
    found = check_of(edge, "streams")
    assert not found["ok"] and "every stream is refused" in found["detail"]
    assert "every stream is refused" in means(edge)
    assert edge.metric("exeat_cut_bound_seconds") == 0


def test_a_socket_that_can_be_cut_is_cut_and_lasts_as_long_as_it_likes(edges, origin):
    edge = edges("socket", ())
    if means(edge).startswith("none"):
        pytest.skip(f"NOT PERMITTED ON THIS MACHINE: {means(edge)}")
    mine = edge.session()
    own = streams.start("websocket-busy", edge, url(origin), "connect", mine["token"])
    _, told = edge.revoke(mine["sid"])
    assert (told["cut"], told["uncut"], told["ends_within_s"]) == (2, 0, 0)
    assert own.reset and own.broken()
    own.close()
