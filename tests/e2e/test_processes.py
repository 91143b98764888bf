"""Whoever dies, stops or hangs: denials only, nobody left alone, recovery by itself."""
import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import guest, processes
from harness.edge import CLEAN, binary
from harness.poll import wait_for
from harness.world import settings, url

ROLES = ["control", "envoy"]


@pytest.fixture(scope="module")
def edge(bench, origin):
    bench.count_requests = False  # requests die half way here
    return bench.edge(settings(bench, origin))


@pytest.fixture(autouse=True)
def running(edge, origin):
    """Each test starts from an edge that answers, and leaves one."""
    if edge.process is None or edge.process.poll() is not None:
        edge.process = None
        edge.start()
    edge.good = edge.token()
    recovered(edge, origin)
    yield
    if edge.process is not None and edge.process.poll() is None:
        for process in processes.descendants(edge.process.pid):
            process.send(signal.SIGCONT)


def outcome(edge, origin, token, leg="transparent"):
    """"allowed", "denied", or "none" when nothing answered."""
    try:
        answer = guest.get(edge, url(origin, "/probe"), token, leg)
    except Exception:  # noqa: BLE001 - any broken exchange is no answer
        return "none"
    return "allowed" if answer.status == 200 else "denied"


def recovered(edge, origin, timeout_s=20):
    wait_for(lambda: outcome(edge, origin, edge.good) == "allowed" and
             outcome(edge, origin, edge.good, "connect") == "allowed",
             "the edge recovers by itself", timeout_s, 0.1)


@pytest.mark.parametrize("role", ROLES)
def test_killed_child_is_restarted_and_leaves_no_zombie(edge, origin, role):
    victim = edge.roles()[role]
    victim.kill()
    victim.wait_gone(5)
    recovered(edge, origin)
    fresh = edge.roles()
    assert set(fresh) == {"guardian", "control", "envoy"} and fresh[role].pid != victim.pid
    assert [p for p in processes.descendants(edge.process.pid) if p.state == "Z"] == []
    edge.verify_audit()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked"])
def test_envoy_and_its_streams_end_with_their_control_at_once(edge, origin, end):
    """The next control knows none of the open streams, so it could never cut them."""
    client, _ = guest.open_client(edge, url(origin), edge.good)
    client.send("GET", "/sse", f"api.example.test:{origin.port}")
    assert client.stream.recv(10)
    roles = edge.roles()
    roles["control"].send(end)
    roles["control"].wait_gone(5)
    roles["envoy"].wait_gone(0.9)  # the lease would leave it a second
    client.stream.settimeout(1)
    with contextlib.suppress(ConnectionError):
        while client.stream.recv(65536):
            pass
    recovered(edge, origin)
    assert edge.roles()["envoy"].pid != roles["envoy"].pid


def test_tokens_and_sessions_outlive_a_killed_control(edge, origin):
    session, revoked = edge.session(), edge.session()
    edge.revoke(revoked["sid"])
    edge.roles()["control"].kill()
    recovered(edge, origin)
    assert guest.get(edge, url(origin), session["token"]).status == 200
    assert guest.get(edge, url(origin), revoked["token"]).reason == "session_revoked"


def test_both_children_killed_at_once(edge, origin):
    roles = edge.roles()
    for role in ROLES:
        roles[role].kill()
    recovered(edge, origin)


def test_killed_control_allows_nothing_that_it_did_not_decide(edge, origin):
    """While control is gone, whatever is answered is a denial."""
    client, _ = guest.open_client(edge, url(origin), edge.good)
    host = f"api.example.test:{origin.port}"
    assert client.request("GET", "/", host).status == 200
    control = edge.roles()["control"]
    control.kill()
    control.wait_gone(5)
    before = len(origin.requests)
    with_no_control = []
    while "control" not in edge.roles() and len(with_no_control) < 50:
        try:
            with_no_control.append(client.request("GET", "/", host).status)
        except Exception:  # noqa: BLE001 - Envoy may be killed meanwhile
            break
    if "control" not in edge.roles():
        assert 200 not in with_no_control and len(origin.requests) == before
    recovered(edge, origin)


def test_killed_guardian_takes_both_children_with_it(edge):
    roles = edge.roles()
    roles["guardian"].kill()
    edge.process.wait(10)
    edge.process = None
    for role in ROLES:
        wait_for(lambda r=role: not roles[r].running, f"{role} ends with the guardian", 3)


def test_restart_over_what_a_killed_guardian_left(edge, origin):
    session = edge.session()
    roles = edge.roles()
    roles["guardian"].kill()
    edge.process.wait(10)
    edge.process = None
    edge.start()  # stale sockets and lock files are in its way now
    assert guest.get(edge, url(origin), session["token"]).status == 200


def test_stopped_control_allows_nothing_and_leaves_no_envoy_alone(edge, origin):
    roles = edge.roles()
    roles["control"].send(signal.SIGSTOP)
    stopped = time.monotonic()
    # The lease: control silent for 1 s, Envoy killed within 1 s more; then a margin for a busy
    # machine.
    seen = []
    while time.monotonic() < stopped + 10:
        began = time.monotonic() - stopped
        seen.append((began, outcome(edge, origin, edge.good)))
        if began > 3 and roles["control"].state == "T":
            assert not roles["envoy"].running, "Envoy runs on without its decision maker"
    late = [entry for entry in seen if entry[0] > 2.5 and entry[1] == "allowed"
            and roles["control"].state == "T"]
    assert late == []
    roles["control"].send(signal.SIGCONT)
    recovered(edge, origin, 30)
    edge.verify_audit()


def test_stopped_envoy_is_no_lasting_outage(edge, origin):
    envoy = edge.roles()["envoy"]
    envoy.send(signal.SIGSTOP)
    time.sleep(0.2)
    envoy.send(signal.SIGCONT)
    recovered(edge, origin)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_sigterm_drains_and_exits_0(edge, origin, busy):
    if busy:
        client, _ = guest.open_client(edge, url(origin), edge.good)
        client.send("GET", "/sse", f"api.example.test:{origin.port}")
        client.stream.recv(10)
    started = time.monotonic()
    edge.stop(15)
    assert time.monotonic() - started < 15
    assert "completion_queue" not in edge.log(), "gRPC found its queues ended in the wrong order"
    sockets = [p for p in edge.state.rglob("*") if p.is_socket()]
    assert sockets == []


def test_sigterm_twice_exits_at_once(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.good)
    client.send("GET", "/sse", f"api.example.test:{origin.port}")
    client.stream.recv(10)
    below = processes.descendants(edge.process.pid)
    edge.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    if edge.process.poll() is None:
        edge.process.send_signal(signal.SIGTERM)
    edge.process.wait(3)
    wait_for(lambda: not [p for p in below if p.running], "nothing is left", 3)
    edge.process = None


def test_sigint_ends_it_like_sigterm(edge):
    edge.process.send_signal(signal.SIGINT)
    assert edge.process.wait(15) in (0, 130)
    edge.process = None


def test_sighup_reads_the_policy_again(bench, edge, origin):
    def reason():
        stream, answer = guest.tunnel(edge, f"api.example.test:{origin.port}", edge.good)
        if stream is not None:
            stream.close()
        return answer.reason
    try:
        edge.write_policy(settings(bench, origin, posture="deny-all"))
        edge.process.send_signal(signal.SIGHUP)
        wait_for(lambda: reason() == "posture_deny_all", "the closed policy is in force")
    finally:
        edge.write_policy(settings(bench, origin))
        edge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: reason() is None, "open again")


def test_sighup_with_a_broken_policy_keeps_the_last_good_one(bench, edge, origin):
    edge.policy_file.write_text("version: 1\nnonsense: true\n")
    edge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nonsense" in edge.log(), "the refusal is logged")
    assert guest.get(edge, url(origin), edge.good).status == 200
    edge.write_policy(settings(bench, origin))


def test_metrics_and_the_kill_switch_work_while_envoy_hangs(edge):
    session, envoy = edge.session(), edge.roles()["envoy"]
    envoy.send(signal.SIGSTOP)
    try:
        assert edge.run("metrics").returncode == 0
        done = edge.run("session", "revoke", session["sid"], "--reason", "test", "--json")
        assert "acknowledged" in done.stdout, done
    finally:
        envoy.send(signal.SIGCONT)


def test_second_edge_on_the_same_state_is_refused(edge):
    done = subprocess.run(edge.command(), capture_output=True, text=True, timeout=30, env=CLEAN)
    assert done.returncode != 0 and "state" in done.stderr
    assert set(edge.roles()) == {"guardian", "control", "envoy"}


def test_doctor_names_the_roles_and_their_pids(edge):
    doctor = edge.cli("doctor")
    for role, process in edge.roles().items():
        assert role in str(doctor) and str(process.pid) in str(doctor), role


def test_exeat_is_not_dumpable(edge):
    """No other process of this user may read the keys out of control's memory."""
    control = edge.roles()["control"]
    owner = os.stat(f"/proc/{control.pid}/mem").st_uid
    assert owner == 0  # undumpable processes belong to root in /proc
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            open(f"/proc/{control.pid}/mem", "rb").read(1)


def test_up_without_envoy_says_so_and_starts_nothing(bench, edge, origin, directory):
    wrong = directory / "not-envoy"
    wrong.write_text("#!/bin/sh\necho envoy version: 0/1.2.3/Clean/RELEASE/BoringSSL\n")
    wrong.chmod(0o755)
    for path in (wrong, directory / "absent"):
        done = subprocess.run([binary(), "up", "-c", str(edge.policy_file), "--state",
                               str(directory / "other"), "--envoy", str(path)],
                              capture_output=True, text=True, timeout=30, env=CLEAN)
        assert done.returncode != 0 and str(path) in done.stderr, done
        assert "ready" not in done.stdout
        assert processes.mentioning(str(directory / "other")) == []


def test_commands_without_an_edge_say_so(directory):
    done = subprocess.run([binary(), "session", "list", "--state", str(directory / "none")],
                          capture_output=True, text=True, timeout=15, env=CLEAN)
    assert done.returncode == 1 and "exeat up" in done.stderr


def test_listener_sockets_are_closed_after_the_stop(edge):
    address = edge.proxy.rsplit(":", 1)
    edge.stop()
    with pytest.raises(OSError):
        socket.create_connection((address[0], int(address[1])), 1).close()
