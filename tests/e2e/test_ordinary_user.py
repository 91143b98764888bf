"""The edge as an ordinary user without any privilege, as most people first run it."""
import os
import pathlib
import re
import shutil

import pytest

from harness import edge as edge_module
from harness import guest, streams
from harness.world import SECRETS, assert_denied, settings, url

NOBODY = 65534


@pytest.fixture(scope="module")
def user():
    return NOBODY if os.geteuid() == 0 else None


@pytest.fixture(scope="module")
def edge(bench, origin, directory, user):
    """Root runs it as nobody, from copies that nobody may read."""
    wanted = settings(bench, origin)
    if user is not None:
        own = directory / "bin"
        own.mkdir()
        for name, source in (("exeat", edge_module.binary()), ("envoy", edge_module.envoy())):
            shutil.copy(source, own / name)
            (own / name).chmod(0o755)
        (directory / "edge").mkdir()
        for path in (directory, directory / "edge", *directory.glob("secret-*")):
            os.chown(path, user, user)
        bench.patched = pytest.MonkeyPatch()
        bench.patched.setenv("EXEAT_BIN", str(own / "exeat"))
        bench.patched.setenv("EXEAT_ENVOY", str(own / "envoy"))
        edge_module.envoy.cache_clear()
        bench.closers.append(lambda: (bench.patched.undo(), edge_module.envoy.cache_clear()))
    return bench.edge(wanted, user=user)


def test_runs_and_serves_both_legs(edge, origin):
    token = edge.token()
    for leg in ("connect", "transparent"):
        assert guest.get(edge, url(origin), token, leg).status == 200
        assert origin.requests[-1].header("x-api-key") == SECRETS["api"]


def test_no_process_of_it_has_any_privilege(edge):
    for role, process in edge.roles().items():
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["Uid"].split()[0]) != 0, role
        assert int(fields["CapEff"], 16) == 0, role
        assert fields["NoNewPrivs"] == "1" or role == "guardian", role


def test_control_and_guardian_are_undumpable(edge):
    """In /proc an undumpable process belongs to root, whoever runs it."""
    for role in ("guardian", "control"):
        assert os.stat(f"/proc/{edge.roles()[role].pid}/environ").st_uid == 0, role


def test_revoke_restart_and_stop_need_no_privilege(edge, origin):
    mine, other = edge.session(), edge.session()
    edge.revoke(mine["sid"])
    edge.stop()
    edge.start()
    assert_denied(guest.get(edge, url(origin), mine["token"]), 403, "session_revoked")
    assert guest.get(edge, url(origin), other["token"]).status == 200


def test_open_streams_can_be_cut_without_privilege(edge, origin):
    """By Envoy's descriptors: SOCK_DESTROY would need CAP_NET_ADMIN."""
    means = re.findall(r'"means": ?"([^"]*)"', edge.log())
    if means and means[-1].startswith("none"):
        pytest.skip(f"NOT PERMITTED ON THIS MACHINE, cutting is not tested: {means[-1]}")
    assert means and set(means) == {"pidfd_getfd"}
    mine, other = edge.session(), edge.session()
    own = [streams.start("websocket-busy", edge, url(origin), leg, mine["token"])
           for leg in streams.LEGS]
    bystander = streams.start("websocket-busy", edge, url(origin), "connect", other["token"])
    _, told = edge.revoke(mine["sid"])
    assert (told["cut"], told["uncut"]) == (3, 0)
    assert all(stream.reset and stream.broken() for stream in own)
    assert bystander.lives()
    for stream in (*own, bystander):
        stream.close()


def test_doctor_names_how_envoy_is_confined(edge):
    doctor = edge.cli("doctor")
    assert "landlock" in str(doctor).lower() or "uid" in str(doctor).lower(), doctor
