"""Bad input: each a clear error with file, line and remedy, and nothing half started."""
import copy
import json
import os
import re
import socket
import stat
import subprocess

import pytest
import yaml

from harness import processes
from harness.edge import CLEAN, Edge, binary, envoy, policy
from harness.poll import wait_for

PORT = 8443


@pytest.fixture
def place(run_directory, request, tmp_path_factory):
    """A directory of its own with a good policy in it, short enough for sockets."""
    name = re.sub(r"\W+", "-", request.node.name)[:20]
    made = run_directory / f"pe-{name}-{len(list(run_directory.iterdir()))}"
    made.mkdir()
    return made


def good(place, authority):
    secret = place / "secret"
    secret.write_text("sk-real\n")
    secret.chmod(0o600)
    return policy(authority.certificate, {"api.example.test": "127.10.0.1"}, [
        {"name": "api", "host": "api.example.test", "ports": [PORT], "credential": "key",
         "grant": "api", "allow": [{"methods": ["GET"], "path": "/v1/**"}],
         "limits": {"requests_per_minute": 60, "burst": 10}}],
        [{"name": "key", "kind": "header", "header": "x-api-key",
          "source": {"file": str(secret)}}])


def write(place, settings):
    path = place / "exeat.yaml"
    path.write_text(settings if isinstance(settings, str)
                    else yaml.safe_dump(settings, sort_keys=False))
    return path


def exeat(*arguments, timeout=30, **options):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env=CLEAN, **options)


def line_of(path, needle):
    return [n for n, line in enumerate(path.read_text().splitlines(), 1) if needle in line][-1]


def edit(settings, dotted, value):
    """Sets a.b.0.c; value None deletes."""
    *parents, last = [int(p) if p.isdigit() else p for p in dotted.split(".")]
    at = settings
    for parent in parents:
        at = at[parent]
    if value is None:
        del at[last]
    elif isinstance(at, list) and last == len(at):
        at.append(value)
    else:
        at[last] = value
    return settings


# name: (what to set, where, what stands on the line that must be named, words in the message,
#        exit code)
MISTAKES = {
    "unknown key": ("frobnicate", True, "frobnicate", ["frobnicate"], 1),
    "unknown key, nearly right": ("destinatons", [], "destinatons", ["destinations"], 1),
    "unknown inner key": ("destinations.0.hots", "x", "hots", ["host"], 1),
    "later key": ("tripwire", {"action": "revoke"}, "tripwire", ["not supported yet"], 2),
    "later key inside": ("destinations.0.broker", True, "broker", ["not supported yet"], 2),
    "later posture": ("posture", "passthrough", "posture", ["not supported yet"], 2),
    "unknown posture": ("posture", "open", "posture", ["bump", '"open"'], 1),
    "wrong version": ("version", 7, "version", ["1"], 1),
    "bad CIDR": ("resolver.allow_private", ["127.10.0.0/33"], "127.10.0.0/33", ["127.10.0.0/33"],
                 1),
    "CIDR with host bits": ("resolver.allow_private", ["127.10.0.1/16"], "127.10.0.1/16",
                            ["127.10.0"], 1),
    "CIDR that opens all": ("resolver.allow_private", ["0.0.0.0/0"], "0.0.0.0/0", [], 1),
    "bad address": ("resolver.hosts", {"api.example.test": ["127.10.0.999"]}, "127.10.0.999",
                    [], 1),
    "empty answers": ("resolver.hosts", {"api.example.test": []}, "api.example.test: []", [],
                      1),
    "empty allow": ("destinations.0.allow", [], "allow: []", ["allow"], 1),
    "empty methods": ("destinations.0.allow", [{"methods": [], "path": "/"}], "methods: []", [],
                      1),
    "empty ports": ("destinations.0.ports", [], "ports: []", ["ports"], 1),
    "empty grant": ("destinations.0.grant", "", "grant: ''", ["grant"], 1),
    "port zero": ("destinations.0.ports", [0], "- 0", [], 1),
    "port too large": ("destinations.0.ports", [65536], "65536", ["65535"], 1),
    "unknown credential": ("destinations.0.credential", "nobody", "nobody", ["nobody"], 1),
    "bad host": ("destinations.0.host", "api_example", "api_example", ["host"], 1),
    "host is a wildcard": ("destinations.0.host", "*.example.test", "*.example.test", [], None),
    "host is an address": ("destinations.0.host", "127.0.0.1", "127.0.0.1", [], 1),
    "CONNECT as a method": ("destinations.0.allow", [{"methods": ["TRACE"], "path": "/"}],
                            "TRACE", ["TRACE"], 1),
    "path without a slash": ("destinations.0.allow", [{"methods": ["GET"], "path": "v1"}],
                             "path: v1", ["/"], 1),
    "path with a query": ("destinations.0.allow", [{"methods": ["GET"], "path": "/v1?a=b"}],
                          "/v1?a=b", [], 1),
    "zero limit": ("destinations.0.limits.requests_per_minute", 0, "requests_per_minute: 0", [],
                   1),
    "duration without a unit": ("sessions", {"max_lifetime": 60}, "max_lifetime", ["60m"], 1),
    "lifetime too long": ("sessions", {"max_lifetime": "61m"}, "max_lifetime", ["60"], 1),
    "skew too long": ("sessions", {"skew": "61s"}, "skew", ["60"], 1),
    "bad listener": ("listeners.proxy", "localhost", "localhost", ["proxy"], 1),
    "unknown kind": ("credentials.0.kind", "magic", "magic", ["bearer"], 1),
    "later kind": ("credentials.0.kind", "gcp", "gcp", ["not supported yet"], 2),
    "header with a colon": ("credentials.0.header", "x: y", "x: y", ["header"], 1),
    "header that is ours": ("credentials.0.header", "x-exeat-session", "x-exeat-session", [], 1),
    "missing secret file": ("credentials.0.source.file", "/nonexistent/key", "/nonexistent/key",
                            ["/nonexistent/key"], 1),
    "missing trust": ("upstream_trust", "/nonexistent/ca.pem", "/nonexistent/ca.pem",
                      ["/nonexistent/ca.pem"], 1),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_names_file_line_and_remedy(place, authority, name):
    where, value, needle, words, code = MISTAKES[name]
    path = write(place, edit(good(place, authority), where, value))
    done = exeat("policy", "check", path)
    assert done.returncode == code if code else done.returncode in (1, 2), done
    text = done.stderr
    assert re.search(rf"{re.escape(str(path))}:{line_of(path, needle)}: ", text), \
        f"line {line_of(path, needle)} is not named in: {text}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"
    as_json = exeat("policy", "check", path, "--json")
    mistakes = json.loads(as_json.stdout)["mistakes"]
    assert mistakes and mistakes[0]["key"] and mistakes[0]["message"]
    assert as_json.stderr == "", "said twice"


def test_every_mistake_is_told_at_once(place, authority):
    settings = good(place, authority)
    edit(settings, "posture", "open")
    edit(settings, "destinations.0.allow", [])
    edit(settings, "frobnicate", 1)
    done = exeat("policy", "check", write(place, settings))
    assert len(done.stderr.strip().splitlines()) >= 3, done.stderr


@pytest.mark.parametrize("kind", ["destinations", "credentials"])
def test_duplicate_name(place, authority, kind):
    settings = good(place, authority)
    settings[kind].append(copy.deepcopy(settings[kind][0]))
    if kind == "destinations":
        settings[kind][1]["host"] = "other.example.test"
    path = write(place, settings)
    done = exeat("policy", "check", path)
    assert done.returncode == 1 and settings[kind][0]["name"] in done.stderr, done
    assert re.search(rf"{re.escape(str(path))}:\d+: {kind}\[1\]", done.stderr), done.stderr


def test_duplicate_yaml_key(place, authority):
    text = yaml.safe_dump(good(place, authority), sort_keys=False) + "posture: bump\n"
    path = write(place, text)
    done = exeat("policy", "check", path)
    assert done.returncode == 1 and f"{path}:{len(text.splitlines())}" in done.stderr, done


def test_credential_for_two_registrable_domains_needs_hosts(place, authority):
    settings = good(place, authority)
    settings["destinations"].append({"name": "other", "host": "api.example.org", "ports": [PORT],
                                     "credential": "key"})
    settings["resolver"]["hosts"]["api.example.org"] = ["127.10.0.1"]
    path = write(place, settings)
    done = exeat("policy", "check", path)
    assert done.returncode == 1 and "hosts" in done.stderr and "key" in done.stderr, done
    settings["credentials"][0]["hosts"] = ["api.example.test", "api.example.org"]
    assert exeat("policy", "check", write(place, settings)).returncode == 0


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "[]", "hello", "version: 1\n\t- x",
                                  "a: [", "&a [*a, *a]", "\x00", "version: 1\nversion: 1\n"],
                         ids=range(10))
def test_text_that_is_no_policy(place, text):
    done = exeat("policy", "check", write(place, text))
    assert done.returncode != 0 and str(place / "exeat.yaml") in done.stderr, done


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_secret_that_others_can_read(place, authority, mode):
    settings = good(place, authority)
    (place / "secret").chmod(mode)
    done = exeat("policy", "check", write(place, settings))
    if done.returncode == 0:  # perhaps judged only where the edge runs
        done = up(place, place / "exeat.yaml")
    assert done.returncode != 0 and str(place / "secret") in done.stderr
    assert "chmod" in done.stderr or "600" in done.stderr, done.stderr


def up(place, path, state=None, environment=None):
    return subprocess.run([binary(), "up", "-c", str(path), "--state",
                           str(state or place / "state"), "--envoy", envoy()],
                          capture_output=True, text=True, timeout=30,
                          env=environment or CLEAN, cwd=place)


def assert_nothing_started(place, done):
    assert done.returncode != 0 and "ready" not in done.stdout, done
    assert done.stderr.strip(), "no message"
    assert processes.mentioning(str(place)) == []
    assert [p for p in place.rglob("*") if p.is_socket()] == []


def test_up_with_a_broken_policy_starts_nothing(place, authority):
    path = write(place, edit(good(place, authority), "destinations.0.allow", []))
    done = up(place, path)
    assert_nothing_started(place, done)
    assert f"{path}:" in done.stderr and not (place / "state" / "keys").exists()


@pytest.mark.parametrize("listener", ["proxy", "transparent"])
def test_port_in_use(place, authority, listener):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = write(place, edit(good(place, authority), f"listeners.{listener}", address))
        done = up(place, path)
    assert_nothing_started(place, done)
    assert address in done.stderr and "in use" in done.stderr.lower(), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: needs root to make another user's "
                                              "directory")
def test_state_of_another_user(place, authority):
    state = place / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 12345, 12345)
    done = up(place, write(place, good(place, authority)))
    assert_nothing_started(place, done)
    assert str(state) in done.stderr, done.stderr


def test_state_that_others_can_enter(place, authority):
    (place / "state").mkdir()
    (place / "state").chmod(0o777)
    done = up(place, write(place, good(place, authority)))
    assert_nothing_started(place, done)
    assert str(place / "state") in done.stderr and "700" in done.stderr, done.stderr


def test_state_is_a_file(place, authority):
    (place / "state").write_text("hello")
    done = up(place, write(place, good(place, authority)))
    assert_nothing_started(place, done)
    assert str(place / "state") in done.stderr


def test_state_of_a_newer_version(place, authority):
    edge = Edge(place, good(place, authority))
    database = [p for p in edge.state.rglob("*") if p.is_file()
                and p.read_bytes()[:15] == b"SQLite format 3"]
    edge.stop()
    import sqlite3
    assert len(database) == 1, database
    with sqlite3.connect(database[0]) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    done = up(place, place / "exeat.yaml")
    assert_nothing_started(place, done)
    assert "newer" in done.stderr or "version" in done.stderr, done.stderr


def test_state_path_of_over_108_bytes_works_or_says_why(place, authority):
    """contract: the socket is short enough wherever the state is."""
    deep = place / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    edge = Edge(deep, good(place, authority))
    assert edge.token()
    edge.stop()


def test_first_start_makes_a_private_state(place, authority):
    edge = Edge(place, good(place, authority))
    assert stat.S_IMODE(edge.state.stat().st_mode) == 0o700
    edge.stop()


def test_apply_is_all_or_nothing(place, authority):
    edge = Edge(place, good(place, authority))
    same = edge.cli("policy", "apply", edge.policy_file)
    assert same["unchanged"] is True and same["changes"] == []
    assert same["streams"]["uncut"] == 0
    before = same["revision"]
    assert edge.cli("policy", "apply", edge.policy_file)["revision"] == before
    bad = edit(good(place, authority), "destinations.0.ports", [0])
    done = edge.run("policy", "apply", write(place, bad))
    assert done.returncode == 1 and "ports" in done.stderr
    restart = edit(good(place, authority), "listeners.proxy", "127.0.0.1:1")
    done = edge.run("policy", "apply", write(place, restart))
    assert done.returncode == 1 and "listeners" in done.stderr and "restart" in done.stderr
    after = edge.cli("policy", "apply", write(place, good(place, authority)))["revision"]
    assert after - before in (0, 1)
    edge.stop()


def test_up_starts_from_the_stored_revision(place, authority):
    edge = Edge(place, good(place, authority))
    closed = edit(good(place, authority), "posture", "deny-all")
    edge.cli("policy", "apply", write(place, closed))
    edge.stop()
    (place / "exeat.yaml").unlink()
    edge.command = lambda: [binary(), "up", "--state", str(edge.state), "--envoy", envoy()]
    edge.start()
    sid = edge.session("api")["sid"]
    done = edge.run("why", "--sid", sid, "GET", f"https://api.example.test:{PORT}/v1/x")
    assert "posture_deny_all" in done.stdout + done.stderr
    edge.stop()


def test_diff_says_what_would_change(place, authority):
    edge = Edge(place, good(place, authority))
    changed = edit(good(place, authority), "destinations.0.limits.burst", 20)
    done = edge.run("policy", "diff", write(place, changed))
    assert done.returncode in (0, 1) and "burst" in done.stdout or "limits" in done.stdout
    edge.stop()


def test_init_writes_a_policy_that_checks(place):
    done = exeat("init", cwd=place)
    assert done.returncode == 0 and "exeat up" in done.stdout + done.stderr, done
    checked = exeat("policy", "check", "exeat.yaml", cwd=place)
    assert checked.returncode == 0, checked.stderr
    again = exeat("init", cwd=place)
    assert again.returncode == 1, "init must not overwrite"


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["up", "--frobnicate"], ["session"], ["session", "revoke"],
    ["policy", "check"], ["why", "GET"], ["run"], ["session", "create", "--ttl", "soon"]], ids=str)
def test_wrong_usage_exits_2(arguments):
    done = exeat(*arguments)
    assert done.returncode == 2 and done.stderr, done


@pytest.mark.parametrize("command", [
    "init", "up", "run", "session create", "session list", "session show", "session renew",
    "session revoke", "session restore", "policy check", "policy diff", "policy apply", "why",
    "audit tail", "audit verify", "audit export", "ca show", "doctor", "metrics", "version"])
def test_help_has_an_example_and_json(command):
    done = exeat(*command.split(), "--help")
    assert done.returncode == 0 and f"exeat {command}" in done.stdout, done.stdout
    assert "xample" in done.stdout and "--json" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell):
    done = exeat("completion", shell)
    assert done.returncode == 0 and "session" in done.stdout and "revoke" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_missing_policy_denies_everything(place):
    """No policy at all: either refused at start with a remedy, or an edge that allows nothing."""
    done = subprocess.Popen([binary(), "up", "--state", str(place / "state"), "--envoy", envoy()],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
                            env=CLEAN)
    try:
        wait_for(lambda: done.poll() is not None or
                 processes.descendants(done.pid), "it starts or says why", 10)
        if done.poll() is None:
            done.terminate()
        _, stderr = done.communicate(timeout=20)
        assert done.returncode == 0 or "exeat init" in stderr or "policy" in stderr
    finally:
        if done.poll() is None:
            done.kill()
