"""Rate limits: a bucket a session on the verified claim, kept over unrelated changes."""
import pytest

from harness import guest
from harness.websocket import WebSocket
from harness.world import assert_denied, settings, url

HOST = "limited.example.test"
BURST = 3


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


def ask(edge, origin, token, leg="connect", http="1.1", host=HOST, path="/x", **more):
    return guest.get(edge, url(origin, path, host), token, leg, http, **more)


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_burst_then_429_with_retry_after(edge, origin, leg, http):
    token = edge.token()
    before = len(origin.requests)
    answers = [ask(edge, origin, token, leg, http) for _ in range(BURST + 2)]
    assert [a.status for a in answers[:BURST]] == [200] * BURST
    for answer in answers[BURST:]:
        assert_denied(answer, 429, "rate_limited", token)
        assert answer.json["retry"] is True and answer.json["retry_after_s"] >= 1
        assert int(answer.header("retry-after")) == answer.json["retry_after_s"]
        assert not answer.header("x-envoy-ratelimited")
    assert len(origin.requests) == before + BURST


def test_other_sessions_and_other_destinations_are_unaffected(edge, origin):
    spent, fresh = edge.token(), edge.token()
    while ask(edge, origin, spent).status == 200:
        pass
    assert ask(edge, origin, fresh).status == 200
    assert ask(edge, origin, spent, host="api.example.test").status == 200
    assert ask(edge, origin, spent).status == 429


def test_one_bucket_whatever_the_leg_version_path_place_or_token(edge, origin):
    session = edge.session()
    renewed = edge.cli("session", "renew", session["sid"])["token"]
    statuses = [
        ask(edge, origin, session["token"], "connect", "1.1").status,
        ask(edge, origin, session["token"], "transparent", "2", path="/y").status,
        ask(edge, origin, renewed, "transparent", "1.1", place="authorization").status,
        ask(edge, origin, renewed, "connect", "2", path="/z").status,
        ask(edge, origin, session["token"], "transparent", place="x-api-key").status]
    assert statuses == [200] * BURST + [429] * 2


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_only_limits_that_the_policy_sets_are_told(edge, origin, leg):
    token = edge.token()
    told = ask(edge, origin, token, leg)
    assert (told.status, told.header("x-ratelimit-limit")) == (200, str(BURST))
    untold = ask(edge, origin, token, leg, host="api.example.test")
    assert untold.status == 200
    assert not [name for name, _ in untold.headers if name.startswith("x-ratelimit")]


def test_many_sessions_never_reset_each_other(edge, origin):
    spent = edge.token()
    while ask(edge, origin, spent).status == 200:
        pass
    for _ in range(60):
        assert ask(edge, origin, edge.token()).status == 200
    assert ask(edge, origin, spent).status == 429


def test_denied_requests_cost_nothing(edge, origin, bench):
    token = edge.token()
    for _ in range(BURST + 2):
        assert ask(edge, origin, token, host="git.example.test").reason == "grant_missing"
    assert ask(edge, origin, token).status == 200


def test_session_wide_limit(bench, edge, origin):
    edge.apply(settings(bench, origin, limits={"requests_per_minute": 6, "burst": 4}))
    try:
        token = edge.token()
        statuses = [ask(edge, origin, token, host=h).status for h in
                    ("api.example.test",) * 3 + (HOST,) + ("api.example.test",)]
        assert statuses == [200] * 4 + [429]
        answer = ask(edge, origin, token, host="api.example.test")
        assert_denied(answer, 429, "rate_limited")
        assert ask(edge, origin, edge.token()).status == 200
    finally:
        edge.apply(settings(bench, origin))


def test_ten_applies_refill_nothing_and_cut_nothing(bench, edge, origin):
    """A half-used bucket and an open WebSocket over ten changes that are not theirs."""
    session = edge.session()
    legs = {}
    for leg in ("connect", "transparent"):
        client, _ = guest.open_client(edge, url(origin),
                                      session["token"] if leg == "connect" else None, leg)
        headers = [] if leg == "connect" else [("x-exeat-session", session["token"])]
        host = f"api.example.test:{origin.port}"
        legs[leg] = WebSocket(client, "/ws", host, headers)
        assert legs[leg].opened, legs[leg].response
    assert [ask(edge, origin, session["token"]).status for _ in range(BURST)] == [200] * BURST
    for number in range(10):
        wanted = settings(bench, origin)
        wanted["destinations"].append({"name": f"more{number}", "host": f"more{number}.test",
                                       "ports": [origin.port]})
        wanted["resolver"]["hosts"][f"more{number}.test"] = [origin.address]
        wanted["destinations"][2]["allow"].append({"methods": ["GET"], "path": f"/n{number}"})
        edge.apply(wanted)
        assert ask(edge, origin, session["token"]).status == 429, f"refilled by apply {number}"
        for leg, websocket in legs.items():
            assert websocket.echo(f"still {number}") == f"still {number}", leg
    for websocket in legs.values():
        websocket.close()
    edge.apply(settings(bench, origin))


def test_changed_limit_takes_effect(bench, edge, origin):
    wanted = settings(bench, origin)
    wanted["destinations"][3]["limits"] = {"requests_per_minute": 60, "burst": 8}
    edge.apply(wanted)
    token = edge.token()
    assert [ask(edge, origin, token).status for _ in range(9)] == [200] * 8 + [429]
    edge.apply(settings(bench, origin))
