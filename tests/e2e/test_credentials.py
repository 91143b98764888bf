"""Credentials: rotated without a restart, and nothing is sent without one."""
import json
import os
import re
import threading

import pytest

from harness import guest
from harness.poll import holds_for, wait_for
from harness.world import SECRETS, assert_denied, settings, url


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


@pytest.fixture
def secret(bench, edge, origin):
    """The file behind the `api` credential, put back when the test is done."""
    path = bench.directory / "secret-api"
    yield path
    replace(path, SECRETS["api"] + "\n")
    wait_for(lambda: attached(edge, origin) == SECRETS["api"], "the first value is back")


def replace(path, text):
    """As a secret store does it: a new file, renamed over the old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.rename(path)


def attached(edge, origin, leg="connect"):
    """What the origin saw, or None when the request was refused."""
    answer = guest.get(edge, url(origin), edge.token(), leg)
    return origin.requests[-1].header("x-api-key") if answer.status == 200 else None


def test_rotation_takes_effect_without_a_restart(edge, origin, secret):
    pids = {role: p.pid for role, p in edge.roles().items()}
    for value in ("sk-second", "sk-third-" + "x" * 200):
        replace(secret, value + "\n")
        wait_for(lambda: attached(edge, origin) == value, f"{value[:12]} is attached", 5)
        assert attached(edge, origin, "transparent") == value
    assert {role: p.pid for role, p in edge.roles().items()} == pids


def test_rotation_under_load_shows_the_old_value_or_the_new_one_only(edge, origin, secret):
    values = [SECRETS["api"]] + [f"sk-load-{n}" for n in range(5)]
    token, stop, failures = edge.token(), threading.Event(), []
    first = len(origin.requests)

    def load(leg):
        client, _ = guest.open_client(edge, url(origin), token if leg == "connect" else None, leg)
        host = f"api.example.test:{origin.port}"
        headers = [] if leg == "connect" else [("x-exeat-session", token)]
        while not stop.is_set():
            answer = client.request("GET", "/load", host, headers)
            if answer.status != 200:
                failures.append(answer)
        client.close()
    threads = [threading.Thread(target=load, args=(leg,))
               for leg in ("connect", "transparent", "connect", "transparent")]
    for thread in threads:
        thread.start()
    for value in values[1:]:
        replace(secret, value + "\n")
        wait_for(lambda: attached(edge, origin) == value, f"{value} is attached", 5)
    stop.set()
    for thread in threads:
        thread.join(15)
    assert failures == []
    seen = [r.header("x-api-key") for r in origin.requests[first:]]
    assert set(seen) == set(values)
    # Once the new one was seen on a worker's connection, the old one does not come back later
    # than the next value: values appear in order, give or take the moment of a change.
    last = {value: max(i for i, v in enumerate(seen) if v == value) for value in values}
    assert [last[v] for v in values] == sorted(last.values())


@pytest.mark.parametrize("text", ["", "\n", " \n\t \n"], ids=["empty", "newline", "blank"])
def test_blank_secret_sends_nothing(edge, origin, secret, text):
    token = edge.token()
    replace(secret, text)
    answer = wait_for(lambda: (a := guest.get(edge, url(origin), token)).status != 200 and a,
                      "the blank secret is noticed", 5)
    assert_denied(answer, 503, "credential_unavailable")
    before = len(origin.requests)
    for leg in ("connect", "transparent"):
        assert_denied(guest.get(edge, url(origin), token, leg), 503, "credential_unavailable")
    assert len(origin.requests) == before


def test_missing_secret_sends_nothing(edge, origin, secret):
    secret.unlink()
    token = edge.token()
    answer = wait_for(lambda: (a := guest.get(edge, url(origin), token)).status != 200 and a,
                      "the missing secret is noticed", 5)
    assert_denied(answer, 503, "credential_unavailable")
    before = len(origin.requests)
    holds_for(lambda: guest.get(edge, url(origin), token).status == 503, "still refused", 1)
    assert len(origin.requests) == before


def test_doctor_names_the_hop_that_fails(edge, origin, secret):
    walk = edge.cli("doctor", "--destination", "api")["walk"]
    assert all(hop["ok"] for hop in walk["hops"]) and walk["hops"]
    replace(secret, "")
    wait_for(lambda: attached(edge, origin) is None, "the blank secret is noticed", 5)
    done = edge.run("doctor", "--destination", "api", "--json")
    assert done.returncode == 1
    hops = json.loads(done.stdout)["walk"]["hops"]
    assert [hop["hop"] for hop in hops if not hop["ok"]] == ["credential"], hops


def test_other_destinations_go_on_while_one_credential_is_missing(edge, origin, secret):
    replace(secret, "")
    wait_for(lambda: attached(edge, origin) is None, "the blank secret is noticed", 5)
    answer = guest.get(edge, url(origin, "/", "git.example.test"), edge.token("git"))
    assert answer.status == 200
    assert origin.requests[-1].header("authorization") == f"Bearer {SECRETS['git']}"


@pytest.mark.parametrize("text", ["a\nb\n", "a\rb", "a\0b"], ids=["newline", "return", "nul"])
def test_secret_that_cannot_be_a_header_value_is_not_sent_in_part(edge, origin, secret, text):
    replace(secret, text)
    seen = wait_for(lambda: attached(edge, origin) != SECRETS["api"] and
                    (attached(edge, origin) or "refused"), "the odd secret is noticed", 5)
    assert seen == "refused"


def test_each_host_gets_its_own_credential_only(edge, origin):
    first = len(origin.requests)
    token = edge.token("git")
    for _ in range(5):
        for host in ("api.example.test", "git.example.test", "limited.example.test"):
            guest.get(edge, url(origin, "/own", host), token)
    for seen in origin.requests[first:]:
        host = seen.authority.split(":")[0]
        text = str(seen.headers)
        assert (SECRETS["api"] in text) == (host == "api.example.test")
        assert (SECRETS["git"] in text) == (host == "git.example.test")


def test_no_secret_in_any_log_command_line_or_environment(edge, bench):
    pattern = re.compile("|".join(map(re.escape, SECRETS.values())))
    assert not pattern.search(edge.log(10**8))
    for path in edge.state.rglob("*"):
        if path.is_file():
            assert not pattern.search(path.read_bytes().decode("latin-1")), path
    for process in edge.roles().values():
        assert not pattern.search(process.command)
        try:
            environment = open(f"/proc/{process.pid}/environ", "rb").read().decode("latin-1")
        except PermissionError:
            continue
        assert not pattern.search(environment)


def test_state_is_private(edge):
    assert edge.state.stat().st_mode & 0o077 == 0
    for path in edge.state.rglob("*.pem"):
        if b"PRIVATE" in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path
    sockets = [p for p in edge.state.rglob("*") if p.is_socket()]
    for path in sockets:
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path


def test_envoy_cannot_read_state_or_secrets(edge, bench):
    """Its own uid as root, else Landlock: what Envoy's process may open."""
    envoy = edge.roles()["envoy"]
    uid = int(re.search(r"^Uid:\s+(\d+)", open(f"/proc/{envoy.pid}/status").read(), re.M)[1])
    if os.geteuid() == 0:
        assert uid != 0, "Envoy runs as root"
    doctor = str(edge.cli("doctor"))
    assert "none" not in re.findall(r"confinement[^,}]*", doctor) or uid != os.geteuid()
