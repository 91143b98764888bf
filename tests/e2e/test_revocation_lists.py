"""Many revocations at once, from a file, and the list of what is in force."""
import json
import time

import pytest

from harness import guest
from harness.world import assert_denied, settings, url

MOST = 100_000
MANY = 35_000  # of the longest ids: more than the 4 MiB that gRPC takes by itself


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


def revoked(edge):
    return {(r["kind"], r["id"]): r
            for r in edge.cli("session", "list", "--revoked")["revocations"]}


def written(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


def test_a_file_is_revoked_listed_and_restored(edge, origin, tmp_path):
    first, second, kept = edge.session(), edge.session(sub="left"), edge.session()
    path = written(tmp_path, f"# leaked\n{first['sid']}\n\nsub left\n")
    lines = edge.revoke("--from-file", path, reason="leaked")
    assert lines[0]["entries"] == 2 and {"cut", "uncut", "ms"} <= set(lines[1])
    for session in (first, second):
        assert_denied(guest.get(edge, url(origin), session["token"]), 403, "session_revoked")
    assert guest.get(edge, url(origin), kept["token"]).status == 200
    listed = revoked(edge)
    now = time.time()
    assert listed["session", first["sid"]]["reason"] == "leaked"
    assert now - 60 < listed["session", first["sid"]]["since"] <= now + 1
    assert listed["session", first["sid"]]["until"] > now
    assert listed["sub", "left"]["until"] is None
    standing = {s["sid"]: s["standing"] for s in edge.cli("session", "list")["sessions"]}
    assert standing[first["sid"]] == standing[second["sid"]] == "revoked"
    assert standing[kept["sid"]] == "live"
    edge.cli("session", "restore", "--from-file", path)
    assert guest.get(edge, url(origin), first["token"]).status == 200
    assert ("sub", "left") not in revoked(edge)


def test_what_is_listed_can_be_given_back_through_a_pipe(edge, tmp_path):
    mine = edge.session()
    edge.revoke("--from-file", "-", input=f"session {mine['sid']}\nsub one\njti j-1\n")
    lines = "".join(f"{kind} {name}\n" for kind, name in revoked(edge))
    edge.cli("session", "restore", "--from-file", "-", input=lines)
    assert revoked(edge) == {}


@pytest.mark.parametrize("line", ["user alice", "sub", "sub a b", "s1,leaked", "j" * 129, "\u00e9"])
def test_a_malformed_line_is_named_and_changes_nothing(edge, origin, tmp_path, line):
    mine = edge.session()
    path = written(tmp_path, f"{mine['sid']}\n{line}\n")
    for command in ("revoke", "restore"):
        done = edge.run("session", command, "--from-file", path)
        assert done.returncode == 1 and done.stdout == "", done
        assert f"{path}:2: expected ID, session ID, sub ID or jti ID" in done.stderr
    assert guest.get(edge, url(origin), mine["token"]).status == 200
    assert revoked(edge) == {}


def test_a_list_with_one_entry_that_is_not_in_force_restores_nothing(edge, tmp_path):
    mine = edge.session()
    edge.revoke(mine["sid"])
    path = written(tmp_path, f"{mine['sid']}\nsession never-revoked\n")
    done = edge.run("session", "restore", "--from-file", path)
    assert done.returncode == 1 and "never-revoked" in done.stderr, done
    assert ("session", mine["sid"]) in revoked(edge)
    edge.cli("session", "restore", mine["sid"])


def test_many_of_the_longest_ids_pass_and_too_many_do_not(edge, origin, tmp_path):
    mine, kept = edge.session(), edge.session()
    names = [f"{i:06d}-{'x' * 121}" for i in range(MANY - 1)] + [mine["sid"]]
    path = written(tmp_path, "\n".join(names))
    answer = edge.cli("session", "revoke", "--from-file", path)
    assert answer[0]["acknowledged"] and answer[0]["entries"] == MANY
    assert_denied(guest.get(edge, url(origin), mine["token"]), 403, "session_revoked")
    assert guest.get(edge, url(origin), kept["token"]).status == 200
    assert len(revoked(edge)) == MANY
    edge.cli("session", "restore", "--from-file", path)
    assert guest.get(edge, url(origin), mine["token"]).status == 200
    assert revoked(edge) == {}
    path.write_text("".join(f"{i}\n" for i in range(MOST + 1)))
    done = edge.run("session", "revoke", "--from-file", path)
    assert done.returncode == 1 and str(MOST) in done.stderr, done
    assert revoked(edge) == {}


def test_doctor_says_how_streams_are_cut(edge):
    done = edge.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["streams"]["ok"] is not checks["streams"]["detail"].startswith("none"), done
