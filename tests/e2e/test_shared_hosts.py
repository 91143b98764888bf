"""Two destinations for one host: the first whose grant the session holds serves it."""
import pytest

from harness import guest
from harness.edge import policy
from harness.poll import wait_for
from harness.websocket import WebSocket
from harness.world import assert_denied

HOST, BARE, OTHER = "git.example.test", "api.example.test", "open.example.test"
READ, WRITE, ANY = "sk-read-1f7a", "sk-write-9b2c", "sk-any-55d0"


@pytest.fixture(scope="module")
def edge(bench, origin):
    def key(name, value):
        return {"name": name, "kind": "header", "header": "x-api-key",
                "source": {"file": str(bench.secret(name, value))}}
    def at():
        return {"host": HOST, "ports": [origin.port]}
    made = policy(
        bench.authority.certificate, dict.fromkeys((HOST, BARE, OTHER), origin.address), [
            {"name": "writing", **at(), "credential": "write", "grant": "write"},
            {"name": "reading", **at(), "credential": "read", "grant": "read",
             "allow": [{"methods": ["GET"]}], "limits": {"requests_per_minute": 6, "burst": 3}},
            {"name": "granted", "host": BARE, "ports": [origin.port], "credential": "write",
             "grant": "write", "allow": [{"path": "/granted"}]},
            {"name": "other", "host": OTHER, "ports": [origin.port], "grant": "other"},
            {"name": "anybody", "host": BARE, "ports": [origin.port], "credential": "any"}],
        [key("write", WRITE), key("read", READ), key("any", ANY)])
    return bench.edge(made)


def ask(edge, origin, token, leg, host=HOST, path="/", **options):
    return guest.get(edge, f"https://{host}:{origin.port}{path}", token, leg, **options)


def seen(origin):
    """The credential of the last request, and that there was only one."""
    values = [v for k, v in origin.requests[-1].headers if k.lower() == "x-api-key"]
    assert len(values) == 1
    return values[0]


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("grants, method, expected", [
    (["read"], "GET", READ), (["write"], "POST", WRITE), (["other", "write"], "GET", WRITE),
    (["read", "write"], "POST", WRITE), (["write", "read"], "GET", WRITE)])
def test_the_grant_chooses_the_credential(edge, origin, leg, http, grants, method, expected):
    answer = ask(edge, origin, edge.token(*grants), leg, method=method, http=http)
    assert answer.status == 200
    assert seen(origin) == expected


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_a_session_gets_the_rules_of_what_serves_it(edge, origin, leg):
    before = len(origin.requests)
    assert_denied(ask(edge, origin, edge.token("read"), leg, method="POST"), 403,
                  "method_not_allowed")
    assert_denied(ask(edge, origin, edge.token("other"), leg), 403, "grant_missing")
    assert_denied(ask(edge, origin, edge.token(), leg), 403, "grant_missing")
    # What comes first serves, also where what comes later would allow more.
    assert_denied(ask(edge, origin, edge.token("write"), leg, BARE), 403, "path_not_allowed")
    assert len(origin.requests) == before


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_one_without_a_grant_serves_the_others(edge, origin, leg):
    assert ask(edge, origin, edge.token("write"), leg, BARE, "/granted").status == 200
    assert seen(origin) == WRITE
    assert ask(edge, origin, edge.token("read"), leg, BARE, "/anything").status == 200
    assert seen(origin) == ANY


def test_two_sessions_on_one_connection_to_the_origin_keep_their_credentials(edge, origin):
    """Taking turns, so that each finds the route that the other one picked last."""
    host = f"{HOST}:{origin.port}"
    clients = {}
    for grant in ("read", "write"):
        client, _ = guest.open_client(edge, f"https://{host}/", None, "transparent")
        clients[grant] = client, edge.token(grant)
    for expected, grant in ((READ, "read"), (WRITE, "write")) * 3:
        client, token = clients[grant]
        answer = client.request("GET", "/turns", host, [("x-exeat-session", token)])
        assert answer.status == 200 and seen(origin) == expected
    # And on one connection of a guest, which may hold two sessions' tokens.
    client, _ = clients["read"]
    for expected, grant in ((WRITE, "write"), (ANY, None)):
        answer = client.request("GET", "/turns", host,
                                [("x-exeat-session", edge.token(*([grant] if grant else [])))])
        if grant is None:
            assert_denied(answer, 403, "grant_missing")
        else:
            assert answer.status == 200 and seen(origin) == expected
    for client, _ in clients.values():
        client.close()


def test_limits_are_those_of_what_serves(edge, origin):
    reading, writing = edge.token("read"), edge.token("write")
    answers = [ask(edge, origin, reading, "connect").status for _ in range(5)]
    assert answers[:3] == [200] * 3 and 429 in answers
    assert {ask(edge, origin, writing, "connect").status for _ in range(5)} == {200}


def test_records_name_what_served(edge, origin):
    token = edge.session("write", "read")
    assert ask(edge, origin, token["token"], "connect", path="/recorded").status == 200

    def recorded():
        found = edge.audit(path="/recorded", sid=token["sid"])
        return found if len(found) == 2 else None
    for record in wait_for(recorded, "intent and outcome", 10):
        assert record.exeat["destination"] == "writing"
        assert record.exeat["credential"] == "write"


def test_websocket_takes_the_same_choice(edge, origin):
    host = f"{HOST}:{origin.port}"
    for grant, expected in (("write", WRITE), ("read", READ)):
        client, _ = guest.open_client(edge, f"https://{host}/", edge.token(grant))
        socket = WebSocket(client, "/ws/echo", host)
        assert socket.opened and seen(origin) == expected
        socket.close()


def test_why_names_what_would_serve(edge, origin):
    for grants, name in ((["read"], "reading"), (["read", "write"], "writing")):
        sid = edge.session(*grants)["sid"]
        explained = edge.cli("why", "GET", f"https://{HOST}:{origin.port}/", "--sid", sid)
        assert explained["destination"] == name
