"""Edges that share a PostgreSQL: what one of them is told is in force on all, or they deny."""
import json
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from harness import guest, pki, streams
from harness.edge import CLEAN, binary
from harness.poll import holds_for, wait_for
from harness.postgres import PASSWORD, Postgres
from harness.world import settings, url

NAMES = ["a", "b", "c"]
STALE = (503, "denylist_stale")


@pytest.fixture(scope="module")
def database():
    made = Postgres()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(bench, origin, directory, database):
    """The policy that all of them start with; each has a state and listeners of its own."""
    ca = pki.Authority(directory / "guests", "guests' CA")
    pki.write_key(directory / "guests" / "ca.key", ca.key)
    return settings(bench, origin,
                    ca={"certificate": str(ca.certificate),
                        "key": str(directory / "guests" / "ca.key")},
                    store={"url": database.url,
                           "password_file": str(bench.secret("database", PASSWORD))})


@pytest.fixture(scope="module")
def edges(bench, shared):
    bench.count_requests = False  # edges die and requests break here
    return [bench.edge(shared, name) for name in NAMES]


def outcome(edge, origin, token, leg="connect", place=None):
    """The status and reason of one request, or None when nothing answered."""
    try:
        answer = guest.get(edge, place or url(origin, "/probe"), token, leg)
    except Exception:  # noqa: BLE001 - any broken exchange is no answer
        return None
    return answer.status, answer.reason


def serves(edge, origin, token):
    return outcome(edge, origin, token) == (200, None)


def fresh_token(edge):
    done = edge.run("session", "create", "--json")
    return json.loads(done.stdout)["token"] if done.returncode == 0 else None


@pytest.fixture(autouse=True)
def healed(edges, database, origin):
    """Each test leaves a database that runs and edges that serve, without a restart."""
    yield
    if database.process is None:
        database.start()
    database.resume()
    for edge in edges:
        for process in edge.roles().values():
            process.send(signal.SIGCONT)
    for edge in edges:
        token = wait_for(lambda e=edge: fresh_token(e), f"{edge.directory.name} makes sessions", 20)
        for other in edges:
            wait_for(lambda e=other: serves(e, origin, token),
                     f"{other.directory.name} serves it", 20, 0.1)


def revoke_apart(edge, *selector):
    """A revoke under way: its process, whose answers are read later."""
    return subprocess.Popen([binary(), "session", "revoke", *selector, "--json",
                             "--state", str(edge.state)], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, env=CLEAN)


def test_a_session_of_one_edge_is_good_at_every_one(edges, origin):
    a, b, c = edges
    mine = a.session("git", sub="alice")
    for edge in edges:
        assert serves(edge, origin, mine["token"])
        assert edge.cli("session", "show", mine["sid"])["sub"] == "alice"
    renewed = b.cli("session", "renew", mine["sid"])
    assert serves(c, origin, renewed["token"]) and serves(a, origin, renewed["token"])
    assert mine["sid"] in [s["sid"] for s in c.cli("session", "list")["sessions"]]


def test_a_revoke_is_in_force_everywhere_before_its_answer_and_cuts_there(edges, origin):
    a, b, c = edges
    mine, other = a.session(), c.session()
    stream = streams.start("websocket-busy", b, url(origin), "connect", mine["token"])
    bystander = streams.start("websocket-busy", b, url(origin), "connect", other["token"])
    answer, _ = a.revoke(mine["sid"])
    assert (answer["edges"], answer["edges_ended"]) == (3, 0)
    for edge in (b, c, a):
        assert outcome(edge, origin, mine["token"]) == (403, "session_revoked")
        assert edge.run("session", "renew", mine["sid"]).returncode == 1
    assert stream.broken() and bystander.lives()
    wait_for(lambda: "open streams ended" in str(b.audit(sid=mine["sid"])),
             "the other edge records the cut")
    bystander.close()
    c.cli("session", "restore", mine["sid"])
    assert serves(c, origin, mine["token"])
    for edge in edges:
        wait_for(lambda e=edge: serves(e, origin, mine["token"]), "restored everywhere", 5)


def test_by_subject_and_all_also_hold_for_new_sessions_elsewhere(edges, origin):
    a, b, _ = edges
    mine = b.session(sub="mallory")
    a.revoke("--sub", "mallory")
    assert b.run("session", "create", "--sub", "mallory").returncode == 1
    assert outcome(b, origin, mine["token"]) == (403, "session_revoked")
    b.cli("session", "restore", "--sub", "mallory")
    a.revoke("--all", "--yes")
    assert b.run("session", "create").returncode == 1
    b.cli("session", "restore", "--all")
    wait_for(lambda: serves(b, origin, mine["token"]), "restored", 5)


def test_a_rotated_key_verifies_everywhere_at_once_and_a_withdrawn_one_nowhere(edges, origin):
    a, b, c = edges
    old = a.token()
    a.cli("session", "rotate-key")
    new = a.token()
    for edge in edges:
        assert serves(edge, origin, new) and serves(edge, origin, old)
    of_b = b.token()
    a.cli("session", "rotate-key", "--withdraw")
    newest = a.token()
    for edge in edges:
        for token in (old, new):
            assert outcome(edge, origin, token) == (407, "token_invalid")
        assert serves(edge, origin, newest) and serves(edge, origin, of_b)


def test_a_policy_applied_at_one_edge_reaches_every_one(edges, origin, shared):
    a, b, c = edges
    token = b.token()
    without = dict(shared, destinations=[d for d in shared["destinations"] if d["name"] != "open"])
    place = url(origin, "/read/x", "open.example.test")
    assert outcome(c, origin, token, place=place) == (200, None)
    own = {edge: (edge.proxy, edge.transparent) for edge in edges}
    applied = a.apply(without)
    for edge in (b, c):
        wait_for(lambda e=edge: outcome(e, origin, token, place=place) ==
                 (403, "destination_not_allowed"), "the policy is followed", 10)
        assert edge.metric("exeat_policy_revision") == applied["revision"]
    b.apply(shared)
    for edge in edges:
        wait_for(lambda e=edge: outcome(e, origin, token, place=place) == (200, None),
                 "and followed back", 10)
    assert own == {edge: (edge.proxy, edge.transparent) for edge in edges}
    assert c.audit(class_uid=6003) and "policy_followed" in str(c.audit())


def test_an_edge_that_stands_still_is_waited_out_and_catches_up(edges, origin):
    a, b, _ = edges
    mine, other = a.session(), a.session()
    assert serves(b, origin, mine["token"])
    envoy, control = b.roles()["envoy"], b.roles()["control"]
    control.send(signal.SIGSTOP)
    started = time.monotonic()
    answer, _ = a.revoke(mine["sid"])
    took = time.monotonic() - started
    # Its guardian may have started another control by then, which has caught up.
    assert answer["edges"] in (2, 3) and answer["edges_ended"] == 1
    assert took < 5, took
    assert not envoy.running, "its Envoy outlived the acknowledgement"
    control.send(signal.SIGCONT)
    seen = wait_for(lambda: outcome(b, origin, mine["token"]), "it answers again", 20)
    assert seen in (STALE, (403, "session_revoked")), seen
    wait_for(lambda: serves(b, origin, other["token"]), "it serves again", 20)
    assert outcome(b, origin, mine["token"]) == (403, "session_revoked")


def test_without_the_database_all_is_denied_once_the_lease_is_over(edges, origin, database):
    a, b, _ = edges
    mine = a.session()
    database.kill()
    killed = time.monotonic()
    for edge in edges:
        wait_for(lambda e=edge: outcome(e, origin, mine["token"]) == STALE, "it denies", 5)
    assert time.monotonic() - killed < 5
    holds_for(lambda: outcome(a, origin, mine["token"]) == STALE, "it goes on denying", 1)
    refused = a.run("session", "create")
    assert refused.returncode == 1 and "postgresql" in refused.stderr, refused.stderr
    revoked = b.run("session", "revoke", mine["sid"], "--json")
    said = json.loads(revoked.stdout.splitlines()[0])
    assert revoked.returncode == 1
    assert (said["acknowledged"], said["in_force"], said["durable"]) == (False, True, False)
    assert a.metric("exeat_store_up") == 0 and a.metric("exeat_lease_seconds") == 0
    checks = {c["name"]: c for c in json.loads(a.run("doctor", "--json").stdout)["checks"]}
    assert not checks["store"]["ok"] and "all is denied" in checks["store"]["detail"]
    for edge in edges:
        assert edge.log(10**7).count("the lease of the shared store has run out") <= 3
    database.start()
    for edge in edges:
        wait_for(lambda e=edge: outcome(e, origin, mine["token"]) != STALE, "it is healed", 20)
    assert outcome(b, origin, mine["token"]) == (403, "session_revoked")
    wait_for(lambda: a.metric("exeat_store_up") == 1 and a.metric("exeat_lease_seconds") > 0,
             "the metrics say so")
    assert a.metric("exeat_edges") == 3


def test_a_database_that_stands_still_lets_the_lease_run_out(edges, origin, database):
    a = edges[0]
    token = a.token()
    database.pause()
    wait_for(lambda: outcome(a, origin, token) == STALE, "it denies", 5)
    database.resume()
    wait_for(lambda: serves(a, origin, token), "it serves again", 20)


def test_nothing_is_acknowledged_that_the_killed_database_did_not_keep(edges, origin, database):
    a, b, _ = edges
    for _ in range(3):
        mine = [a.session() for _ in range(4)]
        under_way = [revoke_apart(a, one["sid"]) for one in mine]
        killer = threading.Timer(0.05, database.kill)
        killer.start()
        answers = [child.communicate(timeout=30)[0] for child in under_way]
        killer.join()
        database.start()
        for edge in edges:
            wait_for(lambda e=edge: serves(e, origin, fresh_token(e)), "it is healed", 20)
        for one, answer in zip(mine, answers):
            first = json.loads(answer.splitlines()[0]) if answer else {"acknowledged": False}
            if first["acknowledged"]:
                assert outcome(b, origin, one["token"]) == (403, "session_revoked")
            assert outcome(a, origin, one["token"]) == (403, "session_revoked")


class Tunnel:
    """A tunnel that is asked about once: the requests in it are not."""

    def __init__(self, edge, origin, token):
        self.client, refused = guest.open_client(edge, url(origin), token)
        assert refused is None, refused
        self.host = f"api.example.test:{origin.port}"

    def asks(self):
        try:
            return self.client.request("GET", "/once", self.host, []).status
        except streams.BREAKS:
            return None


def test_tunnels_that_are_asked_about_once_end_with_a_revoke_elsewhere_and_with_the_lease(
        edges, origin, database, shared):
    a, b, _ = edges
    once = [dict(d, authorize="connection") if d["name"] == "api" else d
            for d in shared["destinations"]]
    applied = a.apply(dict(shared, destinations=once))
    wait_for(lambda: b.metric("exeat_policy_revision") == applied["revision"], "it is followed")
    mine, other = a.session(), a.session()
    tunnel, bystander = (Tunnel(b, origin, s["token"]) for s in (mine, other))
    checks = b.metric("exeat_check_seconds_count")
    assert [tunnel.asks() for _ in range(3)] == [200] * 3 and bystander.asks() == 200
    assert b.metric("exeat_check_seconds_count") == checks
    a.revoke(mine["sid"])
    assert tunnel.asks() is None and bystander.asks() == 200
    database.kill()
    wait_for(lambda: bystander.asks() is None, "the tunnel ends with the lease", 5)
    database.start()
    wait_for(lambda: serves(b, origin, other["token"]), "it is healed", 20)
    b.apply(shared)


def test_the_database_s_password_is_nowhere(edges):
    for edge in edges:
        assert PASSWORD not in edge.log(10**7)
        for process in edge.roles().values():
            line = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert PASSWORD.encode() not in line
        assert PASSWORD not in edge.run("metrics").stdout + edge.run("doctor", "--json").stdout


def test_an_edge_starts_without_naming_a_file_and_not_without_its_database(
        bench, edges, origin, database, shared):
    made = bench.edge(shared, "d")
    made.stop()
    made.command = lambda: [binary(), "up", "--state", str(made.state),
                            "--envoy", str(edges[0].command()[-1])]
    made.start()
    assert serves(made, origin, edges[0].token())
    made.stop()
    database.kill()
    made.start(wait=False)
    assert made.process.wait(20) == 1
    made.process = None
    assert "the shared store" in made.log() and PASSWORD not in made.log()


def test_an_edge_of_another_deployment_or_without_a_ca_is_refused(bench, shared):
    stranger = bench.edge(dict(shared, deployment="other"), "stranger", start=False)
    stranger.start(wait=False)
    assert stranger.process.wait(20) == 1
    stranger.process = None
    assert "one deployment" in stranger.log()
    alone = bench.edge({k: v for k, v in shared.items() if k != "ca"}, "no-ca", start=False)
    done = alone.run("policy", "check", alone.policy_file, state=False)
    assert done.returncode == 1 and "one CA" in done.stdout + done.stderr
