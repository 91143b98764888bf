"""The audit: one record a decision, intent joined to outcome, and a chain that shows tampering."""
import json
import os
import shutil
import subprocess
import sys

import pytest

from harness import guest
from harness.edge import ROOT, Edge
from harness.origin import Origin
from harness.poll import wait_for
from harness.world import settings, url


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


def records_of(edge, path, count):
    return wait_for(lambda: len(found := [r for r in edge.audit() if r.path == path]) >= count
                    and found, f"{count} records of {path}")


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_allowed_request_has_an_intent_and_an_outcome(edge, origin, leg):
    session = edge.session(sub="alice")
    path = f"/audit/{leg}"
    answer = guest.get(edge, url(origin, path + "?secret=query"), session["token"], leg,
                       method="POST", body=b"x" * 1000)
    intent, outcome = records_of(edge, path, 2)
    assert (intent.phase, outcome.phase) == ("intent", "outcome")
    assert intent.exeat["seq"] < outcome.exeat["seq"]
    for record in (intent, outcome):
        assert record.class_uid == 4002 and record.allowed and record.method == "POST"
        assert record.sid == session["sid"] and record.exeat["sub"] == "alice"
        assert record.exeat["jti"] and record.exeat["destination"] == "api"
        assert record.exeat["credential"] == "api"
        assert record.exeat["policy_revision"] >= 0
        assert record.request_id == answer.header("x-request-id")
        assert "secret=query" not in json.dumps(record)
    assert outcome["http_response"]["code"] == 200
    assert outcome.exeat["bytes_out"] >= 1000 and outcome.exeat["bytes_in"] > 0


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_denied_request_has_one_record_with_its_reason(edge, origin, leg):
    session = edge.session()
    path = f"/denied/{leg}"
    answer = guest.get(edge, url(origin, path, "open.example.test"), session["token"], leg)
    assert answer.reason == "path_not_allowed"
    wait_for(lambda: [r for r in edge.audit() if r.path == path], "the record")
    found = [r for r in edge.audit() if r.path == path]
    assert len(found) == 1, found
    assert found[0].denied and found[0].reason == "path_not_allowed"
    assert found[0].sid == session["sid"]
    assert found[0].request_id == answer.json["request_id"]


def test_refusal_after_its_intent_has_a_denied_outcome(edge, origin):
    token = edge.token()
    answers = [guest.get(edge, url(origin, "/over", "limited.example.test"), token)
               for _ in range(4)]
    assert answers[-1].status == 429
    found = records_of(edge, "/over", 8)
    last = [r for r in found if r.request_id == answers[-1].json["request_id"]]
    assert [(r.phase, r.denied) for r in last if r.phase == "outcome"] == [("outcome", True)]
    assert [r.reason for r in last if r.phase == "outcome"] == ["rate_limited"]


def test_refused_connect_is_recorded_without_a_claim_that_was_not_verified(edge, origin):
    guest.tunnel(edge, f"api.example.test:{origin.port}", "a.b.c")
    guest.tunnel(edge, f"api.example.test:{origin.port}", None)
    for reason in ("token_invalid", "token_missing"):
        found = wait_for(lambda r=reason: edge.audit(reason=r), f"a record of {reason}")
        assert found[-1].denied and not found[-1].sid


def test_session_and_operator_actions_are_recorded(edge, bench, origin):
    session = edge.session(sub="bob")
    edge.cli("session", "renew", session["sid"])
    edge.revoke(session["sid"], reason="because of a test")
    edge.cli("session", "restore", session["sid"], "--reason", "test")
    found = [r for r in edge.audit() if r.sid == session["sid"] and r.class_uid == 3002]
    assert len(found) >= 4, found
    assert "because of a test" in json.dumps(found)
    edge.apply(settings(bench, origin))
    assert [r for r in edge.audit() if r.class_uid == 6003]


def test_leaf_is_recorded_before_it_is_used(edge, origin):
    guest.get(edge, url(origin, "/", "git.example.test"), edge.token("git"))
    leaves = [r for r in edge.audit() if r.class_uid == 6003 and "git.example.test" in str(r)]
    assert leaves


def test_no_token_in_any_record(edge, origin):
    token = edge.token()
    guest.get(edge, url(origin, f"/?t={token}"), token)
    guest.get(edge, url(origin, "/"), token, headers=[("cookie", token), ("user-agent", token)])
    text = json.dumps(edge.audit())
    assert token not in text and token.split(".")[2] not in text


def test_chain_is_dense_and_starts_at_one(edge):
    seqs = [r.exeat["seq"] for r in edge.audit()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_tail_and_head(edge):
    done = edge.run("audit", "tail")
    assert done.returncode == 0 and done.stdout
    assert edge.run("audit", "verify", "--json").returncode == 0


@pytest.fixture
def copy(edge, tmp_path):
    """The log as it is now, in a state directory of its own that `verify` can be pointed at."""
    source = [p for p in edge.state.rglob("*.jsonl") if "audit" in str(p)]
    assert len(source) == 1, source
    shutil.copytree(source[0].parent, tmp_path / "audit")
    path = tmp_path / "audit" / source[0].name
    return path, path.read_text().splitlines(keepends=True)


def verify(edge, path):
    """`audit verify` on a log that no edge runs on."""
    return edge.run("audit", "verify", "--dir", path.parent, state=False)


def independent(path):
    """The verifier that shares no code with exeat."""
    return subprocess.run([sys.executable, str(ROOT / "tools" / "verify_audit.py"), str(path)],
                          capture_output=True, text=True, timeout=60)


def test_untouched_copy_verifies(edge, copy):
    path, lines = copy
    assert independent(path).returncode == 0
    done = verify(edge, path)
    assert done.returncode == 0 and str(len(lines)) in done.stdout, done


TAMPERINGS = {
    "changed": lambda lines: lines[:5] + [lines[5].replace("4002", "4003").replace(
        "3002", "3003").replace("6003", "6004")] + lines[6:],
    "one bit": lambda lines: lines[:7] + [lines[7][:40] + chr(ord(lines[7][40]) ^ 1)
                                          + lines[7][41:]] + lines[8:],
    "missing": lambda lines: lines[:5] + lines[6:],
    "first missing": lambda lines: lines[1:],
    "reordered": lambda lines: lines[:5] + [lines[6], lines[5]] + lines[7:],
    "doubled": lambda lines: lines[:6] + lines[5:],
    "inserted": lambda lines: lines[:5] + ['{"class_uid":4002}\n'] + lines[5:],
    "torn": lambda lines: lines[:-1] + [lines[-1][:30]],
    "whitespace": lambda lines: lines[:5] + [lines[5].replace(",", ", ", 1)] + lines[6:],
    "empty": lambda lines: [],
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(edge, copy, name):
    path, lines = copy
    changed = TAMPERINGS[name](lines)
    assert changed != lines
    path.write_text("".join(changed))
    done = verify(edge, path)
    assert done.returncode == 1, f"{name} was not noticed: {done.stdout}"
    assert independent(path).returncode == 1, f"the independent verifier misses {name}"
    if name in ("changed", "missing", "reordered", "doubled", "inserted", "whitespace"):
        # The first broken line is named: the sixth, or the one whose prev no longer fits.
        assert any(str(n) in done.stdout + done.stderr for n in (6, 7)), done


@pytest.fixture
def own_origin(authority):
    """Requests of an edge whose log is spoilt are in no audit, so the module's origin sees none."""
    made = Origin(authority.issue("attacked", ["api.example.test", "git.example.test",
                                               "open.example.test", "limited.example.test"]))
    yield made
    made.close()


@pytest.fixture
def attacked(bench, own_origin, request):
    """An edge of its own, with a few records, whose log may be spoilt."""
    edge = Edge(bench.directory / request.node.callspec.id, settings(bench, own_origin))
    try:
        for number in range(3):
            guest.get(edge, url(own_origin, f"/before/{number}"), edge.token())
        wait_for(lambda: len(edge.audit(phase="outcome")) >= 3, "the outcomes")
        assert edge.run("audit", "verify").returncode == 0
        yield edge
        edge.stop()
    except AssertionError:
        print(edge.log())
        raise
    finally:
        edge.destroy()


def cut(path):
    """Takes the last two records off, in place."""
    lines = path.read_bytes().splitlines(keepends=True)
    os.truncate(path, sum(map(len, lines[:-2])))


def swap_in_an_older_one(path):
    older = path.with_name("older")
    older.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    older.chmod(0o600)
    older.rename(path)


def copy_an_older_one_over(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))


@pytest.mark.parametrize("attack", [cut, swap_in_an_older_one, copy_an_older_one_over])
def test_shortened_log_of_a_running_edge_is_found_and_ends_all_allows(attacked, own_origin,
                                                                      attack):
    token = attacked.token()
    assert guest.get(attacked, url(own_origin, "/"), token).status == 200
    attack(attacked.state / "audit" / "audit.jsonl")
    done = attacked.run("audit", "verify", "--json")
    assert done.returncode == 1, f"not noticed: {done.stdout}"
    verdict = json.loads(done.stdout)
    assert not verdict["intact"] and verdict["edge_seq"] > verdict["records"], verdict
    # Control notices by itself within a second, though nothing is written meanwhile.
    wait_for(lambda: attacked.metric("exeat_audit_tampered") == 1, "control notices", 5)
    answer = guest.get(attacked, url(own_origin, "/after"), token)
    assert answer.reason == "audit_unavailable", answer
    assert attacked.metric("exeat_audit_up") == 0
    assert "audit cannot record" in attacked.log()
    doctor = attacked.run("doctor")
    assert doctor.returncode == 1 and "cannot record: " in doctor.stdout, doctor.stdout
    assert attacked.run("audit", "verify").returncode == 1
