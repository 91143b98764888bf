"""The kill switch: no request on any open connection is answered any more, durably."""
import json

import pytest

from harness import guest
from harness.poll import wait_for
from harness.streams import BREAKS, LEGS, ended_requests
from harness.world import assert_denied, settings, url

HTTP = ["1.1", "2"]


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


class Warm:
    """A connection that already carried an allowed request."""

    def __init__(self, edge, origin, token, leg, http):
        self.client, refused = guest.open_client(
            edge, url(origin), token if leg == "connect" else None, leg, http)
        assert refused is None
        self.host = f"api.example.test:{origin.port}"
        self.headers = [] if leg == "connect" else [("x-exeat-session", token)]
        assert self.ask().status == 200

    def ask(self):
        return self.client.request("GET", "/warm", self.host, self.headers)


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("leg", LEGS)
def test_next_request_on_a_warm_connection_is_not_answered(edge, origin, leg, http):
    """Idle or not, a connection that carried something for the session is cut."""
    mine, other = edge.session(), edge.session()
    warm = Warm(edge, origin, mine["token"], leg, http)
    bystander = Warm(edge, origin, other["token"], leg, http)
    # A request counts as open until Envoy has told of its end.
    wait_for(lambda: ended_requests(edge, mine["sid"]), "the request is over")
    edge.revoke(mine["sid"])
    before = len(origin.requests)
    with pytest.raises(BREAKS):
        warm.ask()
    assert len(origin.requests) == before
    assert bystander.ask().status == 200
    warm.client.close()
    bystander.client.close()


@pytest.mark.parametrize("leg", LEGS)
def test_new_connections_are_refused_too(edge, origin, leg):
    mine = edge.session()
    edge.revoke(mine["sid"])
    assert_denied(guest.get(edge, url(origin), mine["token"], leg), 403, "session_revoked")


def test_a_revoked_session_is_refused_before_it_was_ever_used_and_twice(edge, origin):
    mine = edge.session()
    edge.revoke(mine["sid"])
    edge.revoke(mine["sid"])
    assert guest.get(edge, url(origin), mine["token"]).reason == "session_revoked"


def test_restore_gives_back_exactly_what_was_taken(edge, origin):
    mine, other = edge.session(), edge.session()
    edge.revoke(mine["sid"])
    edge.revoke(other["sid"])
    edge.cli("session", "restore", mine["sid"], "--reason", "test")
    assert guest.get(edge, url(origin), mine["token"]).status == 200
    assert guest.get(edge, url(origin), other["token"]).reason == "session_revoked"


def test_renewal_of_a_revoked_session_revives_nothing(edge, origin):
    mine = edge.session()
    edge.revoke(mine["sid"])
    done = edge.run("session", "renew", mine["sid"], "--json")
    if done.returncode == 0:
        token = json.loads(done.stdout)["token"]
        assert guest.get(edge, url(origin), token).reason == "session_revoked"


def test_every_token_of_a_revoked_session_is_dead(edge, origin):
    mine = edge.session()
    renewed = edge.cli("session", "renew", mine["sid"])
    edge.revoke(mine["sid"])
    for token in (mine["token"], renewed["token"]):
        assert guest.get(edge, url(origin), token).reason == "session_revoked"


def test_by_token_id_only_that_token_is_dead(edge, origin):
    from harness import tokens
    mine = edge.session()
    renewed = edge.cli("session", "renew", mine["sid"])
    jti = tokens.parts(mine["token"])[1]["jti"]
    edge.revoke("--jti", jti)
    assert guest.get(edge, url(origin), mine["token"]).reason == "session_revoked"
    assert guest.get(edge, url(origin), renewed["token"]).status == 200
    edge.cli("session", "restore", "--jti", jti, "--reason", "test")
    assert guest.get(edge, url(origin), mine["token"]).status == 200


def test_by_subject_old_and_new_sessions_are_dead(edge, origin):
    mine, other = edge.session(sub="mallory"), edge.session(sub="alice")
    edge.revoke("--sub", "mallory")
    assert guest.get(edge, url(origin), mine["token"]).reason == "session_revoked"
    assert guest.get(edge, url(origin), other["token"]).status == 200
    refused = edge.run("session", "create", "--sub", "mallory")
    assert refused.returncode == 1 and refused.stderr
    edge.cli("session", "restore", "--sub", "mallory", "--reason", "test")
    assert guest.get(edge, url(origin), mine["token"]).status == 200


def test_all_means_all_until_restored(edge, origin):
    mine, other = edge.session(), edge.session()
    assert edge.run("session", "revoke", "--all").returncode == 2
    edge.revoke("--all", "--yes")
    for session in (mine, other):
        assert guest.get(edge, url(origin), session["token"]).reason == "session_revoked"
    assert edge.run("session", "create").returncode == 1
    edge.cli("session", "restore", "--all", "--reason", "test")
    assert guest.get(edge, url(origin), edge.token()).status == 200


def test_bad_selectors(edge):
    assert edge.run("session", "revoke").returncode == 2
    assert edge.run("session", "revoke", "--sub").returncode == 2


def test_acknowledgement_comes_first_and_then_the_streams(edge, origin):
    mine = edge.session()
    first, second = edge.revoke(mine["sid"])
    assert first["acknowledged"] is True
    assert (second["cut"], second["uncut"]) == (0, 0) and second["ms"] >= 0
