"""An Envoy of the right version that was built without something: refused by name, before it
serves. The pinned binary is copied, and in the copy an extension's type has another name."""
import pathlib
import subprocess

import pytest

from harness import edge as edge_module
from harness import processes
from harness.edge import CLEAN, binary
from harness.world import settings

ASKING = "envoy.extensions.filters.network.ext_authz.v3"
LEAVES = "envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3"
HOP = "envoy.extensions.bootstrap.internal_listener.v3"


@pytest.fixture(scope="module")
def stopped(bench, origin):
    return bench.edge(settings(bench, origin), start=False)


def errors_of_up_without(stopped, directory, *packages):
    whole = pathlib.Path(edge_module.envoy()).read_bytes()
    for package in packages:
        assert package.encode() in whole
        whole = whole.replace(package.encode(), package[:-1].encode() + b"X")
    lesser = directory / "lesser-envoy"
    lesser.write_bytes(whole)
    lesser.chmod(0o755)
    state = directory / "state"
    try:
        done = subprocess.run([binary(), "up", "-c", str(stopped.policy_file), "--state",
                               str(state), "--envoy", str(lesser)],
                              capture_output=True, text=True, timeout=30, env=CLEAN)
    finally:
        lesser.unlink()
    assert done.returncode == 1 and "ready" not in done.stdout, done
    assert f"exeat up: {lesser} 1.40.0 " in done.stderr, done.stderr
    assert "every listener answers" not in done.stderr
    assert processes.mentioning(str(state)) == []
    return done.stderr


def test_every_missing_extension_is_named_and_nothing_is_pushed(stopped, directory):
    errors = errors_of_up_without(stopped, directory, ASKING, LEAVES)
    assert f"has no {ASKING}.ExtAuthz, {LEAVES}.Config." in errors
    assert "refused a push" not in errors


def test_a_missing_extension_of_the_bootstrap_is_named_too(stopped, directory):
    errors = errors_of_up_without(stopped, directory, HOP)
    assert f"refused its bootstrap: it has no {HOP}.InternalListener." in errors
