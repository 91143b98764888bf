"""Whatever dies in the middle of a revoke or straight after it: nothing acknowledged is lost, and
nothing that was not stored is acknowledged."""
import contextlib
import json
import signal
import sqlite3
import subprocess

import pytest

from harness import guest, streams
from harness.edge import CLEAN, binary
from harness.poll import wait_for
from harness.streams import LEGS
from harness.world import assert_denied, settings, url

KILLS = 20  # each costs a start of the edge


@pytest.fixture(scope="module")
def edge(bench, origin):
    bench.count_requests = False  # requests die half way here
    return bench.edge(settings(bench, origin))


@pytest.fixture(autouse=True)
def running(edge, origin):
    """Each test starts from an edge that answers."""
    if edge.process is None:
        edge.start()
    wait_for(lambda: edge.run("session", "list").returncode == 0, "control answers", 20, 0.1)
    good = edge.token()
    wait_for(lambda: answered(edge, origin, good) == 200, "the edge answers", 20, 0.1)


def answered(edge, origin, token, leg="transparent"):
    """The status, or None when nothing answered."""
    with contextlib.suppress(*streams.BREAKS):
        return guest.get(edge, url(origin), token, leg).status
    return None


def revoked(edge):
    return [(r["kind"], r["id"])
            for r in edge.cli("session", "list", "--revoked")["revocations"]]


def assert_refused(edge, origin, token):
    for leg in LEGS:
        assert_denied(guest.get(edge, url(origin), token, leg), 403, "session_revoked")


class Revoke:
    """A revoke under way, whose lines are read as they come."""

    def __init__(self, edge, *selector):
        self.child = subprocess.Popen(
            [binary(), "session", "revoke", *selector, "--reason", "x", "--json", "--state",
             str(edge.state)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=CLEAN)

    def acknowledgement(self):
        return json.loads(self.child.stdout.readline())

    def finish(self):
        """(exit code, what else it printed, what it complained of)"""
        out, err = self.child.communicate(timeout=20)
        return self.child.returncode, out, err


def kill_everything(edge):
    roles = edge.roles()
    for role in ("control", "guardian", "envoy"):
        roles[role].kill()
    edge.process.wait(10)
    for process in roles.values():
        wait_for(lambda p=process: not p.running, f"{process} is gone", 5)
    edge.process = None


def test_nothing_is_lost_when_everything_is_killed_right_after_the_answer(edge, origin):
    dead, kept = [], edge.session()
    for _ in range(KILLS):
        dead.append(edge.session())
        revoke = Revoke(edge, dead[-1]["sid"])
        acknowledged = revoke.acknowledgement()
        kill_everything(edge)
        assert acknowledged["acknowledged"] is True and acknowledged["durable"] is True
        revoke.finish()
        edge.start()
        assert_refused(edge, origin, dead[-1]["token"])
    assert {("session", mine["sid"]) for mine in dead} <= set(revoked(edge))
    for mine in dead:
        assert_denied(guest.get(edge, url(origin), mine["token"]), 403, "session_revoked")
    assert guest.get(edge, url(origin), kept["token"]).status == 200
    edge.verify_audit()


@contextlib.contextmanager
def locked_store(edge):
    """Another program holds the database's write lock, so a revoke cannot become durable."""
    other = sqlite3.connect(edge.state / "exeat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def test_a_control_killed_before_it_had_stored_acknowledges_nothing(edge, origin):
    mine = edge.session()
    stream = streams.start("sse", edge, url(origin), "transparent", mine["token"])
    with locked_store(edge):
        revoke = Revoke(edge, mine["sid"])
        wait_for(lambda: stream.reset, "in force and cut before it is stored")
        assert answered(edge, origin, mine["token"]) == 403
        edge.roles()["control"].kill()
        code, out, err = revoke.finish()
    assert code == 1 and out == "" and err, (code, out, err)
    stream.close()
    wait_for(lambda: answered(edge, origin, mine["token"]) == 200, "it lives on", 20, 0.1)
    assert ("session", mine["sid"]) not in revoked(edge)
    edge.revoke(mine["sid"])
    assert_refused(edge, origin, mine["token"])


def test_a_store_that_stays_locked_is_said_and_the_kill_holds_here(edge, origin):
    mine = edge.session()
    with locked_store(edge):
        done = edge.run("session", "revoke", mine["sid"], "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["acknowledged"] is False and said["in_force"] is True
    assert said["durable"] is False and "locked" in said["problem"]
    assert_refused(edge, origin, mine["token"])
    edge.revoke(mine["sid"])  # now that the store works again
    assert ("session", mine["sid"]) in revoked(edge)


def waiting_for_the_cut(edge, origin, session):
    """A revoke that was acknowledged and waits for a stream that a stopped Envoy cannot end."""
    stream = streams.start("sse", edge, url(origin), "connect", session["token"])
    edge.roles()["envoy"].send(signal.SIGSTOP)
    revoke = Revoke(edge, session["sid"])
    assert revoke.acknowledgement()["acknowledged"] is True
    return stream, revoke


def test_an_envoy_killed_while_a_revoke_waits_for_its_streams_has_ended_them(edge, origin):
    mine = edge.session()
    stream, revoke = waiting_for_the_cut(edge, origin, mine)
    edge.roles()["envoy"].kill()
    code, out, err = revoke.finish()
    said = json.loads(out)
    assert code == 0 and said["cut"] == 2 and said["uncut"] == 0, (code, out, err)
    assert stream.broken()
    stream.close()
    wait_for(lambda: answered(edge, origin, mine["token"]) == 403, "a new Envoy refuses", 20, 0.1)


def test_a_control_killed_while_a_revoke_waits_for_its_streams_loses_nothing(edge, origin):
    mine = edge.session()
    roles = edge.roles()
    stream, revoke = waiting_for_the_cut(edge, origin, mine)
    roles["control"].kill()
    code, out, err = revoke.finish()
    assert code == 1 and "uncut" not in out and err, (code, out, err)
    roles["envoy"].wait_gone(5)
    assert stream.broken()
    stream.close()
    wait_for(lambda: answered(edge, origin, mine["token"]) == 403, "still revoked", 20, 0.1)
    assert ("session", mine["sid"]) in revoked(edge)


@pytest.mark.parametrize("leg", LEGS)
def test_a_request_that_was_sent_and_not_judged_yet_is_refused(edge, origin, leg):
    mine = edge.session()
    client, own = streams.connection(edge, url(origin), leg, mine["token"])
    host = f"api.example.test:{origin.port}"
    assert client.request("GET", "/", host, own).status == 200
    before, envoy = len(origin.requests), edge.roles()["envoy"]
    envoy.stop()
    try:
        client.send("GET", "/pending", host, own)
        revoke = Revoke(edge, mine["sid"])
        assert revoke.acknowledgement()["acknowledged"] is True
    finally:
        envoy.send(signal.SIGCONT)
    revoke.finish()
    with contextlib.suppress(*streams.BREAKS):
        assert client.receive().status != 200
    client.close()
    assert len(origin.requests) == before
    assert_refused(edge, origin, mine["token"])


def test_an_unknown_id_and_one_twice_are_acknowledged_and_stand_once(edge):
    before = revoked(edge)
    for _ in range(2):
        for selector in (["nobody-s-session"], ["--jti", "nobody-s-token"], ["--sub", "nobody"]):
            assert edge.revoke(*selector)[0]["durable"] is True
    named = [("session", "nobody-s-session"), ("jti", "nobody-s-token"), ("sub", "nobody")]
    assert sorted(entry for entry in revoked(edge) if entry not in before) == sorted(named)
    assert edge.run("session", "create", "--sub", "nobody").returncode == 1
    edge.cli("session", "restore", "--sub", "nobody")
    twice = edge.run("session", "restore", "--sub", "nobody")
    assert twice.returncode == 1 and "nobody" in twice.stderr
    assert edge.token(sub="nobody")
