"""Real clients by `exeat run`: nothing but environment variables tells them of the edge."""
import json
import os
import subprocess
import sys

import pytest

from harness import origin_git
from harness.edge import CLEAN, ROOT, binary
from harness.origin import Origin
from harness.world import SECRETS, settings, url


@pytest.fixture(scope="module")
def git_origin(bench, authority, directory):
    origin_git.make_repository(directory / "repositories")
    made = Origin(authority.issue("git-origin", ["git.example.test"]),
                  repositories=directory / "repositories")
    bench.origins.append(made)
    return made


@pytest.fixture(scope="module")
def edge(bench, origin, git_origin):
    wanted = settings(bench, origin)
    wanted["destinations"][1]["ports"] = [git_origin.port]
    return bench.edge(wanted)


@pytest.fixture(scope="module")
def node():
    done = subprocess.run([str(ROOT / "tools" / "fetch-node")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run(edge, *command, grants=(), env=None, cwd=None):
    words = [word for grant in grants for word in ("--grant", grant)]
    return edge.run("run", *words, after=["--", *map(str, command)], timeout_s=60,
                    env={**CLEAN, "GIT_CONFIG_GLOBAL": "/dev/null", **(env or {})}, cwd=cwd)


def test_curl(edge, origin):
    done = run(edge, "curl", "-sS", "--fail", url(origin, "/curl"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == "/curl"
    assert origin.seen("/curl")[-1].header("x-api-key") == SECRETS["api"]


def test_curl_with_http2(edge, origin):
    done = run(edge, "curl", "-sS", "--fail", "--http2", "-w", "%{http_version}", "-o",
               "/dev/null", url(origin, "/curl2"))
    assert (done.returncode, done.stdout) == (0, "2"), done.stderr


def test_curl_shows_a_denial_readably(edge, origin):
    done = run(edge, "curl", "-sS", f"https://git.example.test:{origin.port}/")
    assert done.returncode != 0 or "denied" in done.stdout
    done = run(edge, "curl", "-sS", url(origin, "/nope", "open.example.test"))
    assert json.loads(done.stdout)["reason"] == "path_not_allowed"


def test_git_clone(edge, git_origin, tmp_path):
    done = run(edge, "git", "clone", "-q", url(git_origin, "/git/hello.git", "git.example.test"),
               tmp_path / "clone", grants=["git"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "README").read_text() == "hello from the origin\n"
    for seen in git_origin.requests:
        assert seen.header("authorization") == f"Bearer {SECRETS['git']}"


def test_git_clone_without_the_grant(edge, git_origin, tmp_path):
    before = len(git_origin.requests)
    done = run(edge, "git", "clone", "-q", url(git_origin, "/git/hello.git", "git.example.test"),
               tmp_path / "clone")
    assert done.returncode != 0 and len(git_origin.requests) == before


def test_python_requests(edge, origin):
    script = ("import requests, sys; s = requests.Session(); "
              "[print(s.get(u).json()['path']) for u in sys.argv[1:]]")
    done = run(edge, sys.executable, "-c", script, url(origin, "/requests/1"),
               url(origin, "/requests/2"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["/requests/1", "/requests/2"]


def test_python_urllib(edge, origin):
    script = "import urllib.request as u, sys; print(u.urlopen(sys.argv[1]).status)"
    done = run(edge, sys.executable, "-c", script, url(origin, "/urllib"))
    assert (done.returncode, done.stdout.strip()) == (0, "200"), done.stderr


def test_node_fetch(edge, origin, node):
    script = ("const r = await fetch(process.argv[1], {method: 'POST', body: 'hello'});"
              "console.log(r.status, (await r.json()).body)")
    done = run(edge, node, "--input-type=module", "-e", script, url(origin, "/node"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "200 hello"
    assert origin.seen("/node")[-1].header("x-api-key") == SECRETS["api"]


def test_environment_is_complete_and_holds_no_key(edge, tmp_path):
    done = run(edge, "env")
    env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert env["HTTPS_PROXY"].startswith("http://session:") and edge.proxy in env["HTTPS_PROXY"]
    assert env["https_proxy"] == env["HTTPS_PROXY"]
    assert "NO_PROXY" in env and env["NODE_USE_ENV_PROXY"] == "1"
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
                 "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE", "PIP_CERT", "CARGO_HTTP_CAINFO"):
        assert name in env, name
    for secret in SECRETS.values():
        assert secret not in done.stdout


def test_exit_status_is_the_commands_own(edge):
    assert run(edge, "sh", "-c", "exit 37").returncode == 37
    assert run(edge, "true").returncode == 0
    assert run(edge, "no-such-command-here").returncode in (1, 127)


def test_session_ends_with_the_command(edge, origin, tmp_path):
    out = tmp_path / "proxy"
    done = run(edge, "sh", "-c", f"printf %s \"$HTTPS_PROXY\" > {out}")
    assert done.returncode == 0
    answer = subprocess.run(["curl", "-sS", "-k", "-x", out.read_text(), "-o", "/dev/null", "-w",
                             "%{http_connect}", url(origin)], capture_output=True, text=True,
                            env=CLEAN)
    assert answer.stdout == "403"


def test_standard_streams_pass_through(edge):
    done = subprocess.run([binary(), "run", "--state", str(edge.state), "--", "cat"],
                          input="hello", capture_output=True, text=True, timeout=30, env=CLEAN)
    assert done.stdout == "hello", done.stderr


def test_signal_reaches_the_command_and_the_session_ends(edge):
    child = subprocess.Popen([binary(), "run", "--state", str(edge.state), "--", "sh", "-c",
                              "echo started; exec sleep 60"], stdout=subprocess.PIPE, text=True,
                             env=CLEAN)
    assert child.stdout.readline() == "started\n"
    child.terminate()
    assert child.wait(10) in (-15, 143)


def test_guest_cannot_talk_to_the_operator_socket_by_environment(edge):
    done = run(edge, "env")
    assert str(edge.state) not in done.stdout.replace(os.environ.get("PWD", "\0"), "")
