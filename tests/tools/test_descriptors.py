"""tools/envoy-descriptors on the pinned binary: complete, loadable, and loud when it is not."""
import os
import pathlib
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "envoy-descriptors"
SERVICES = ["envoy/service/discovery/v3/ads.proto", "envoy/service/auth/v3/external_auth.proto",
            "envoy/service/accesslog/v3/als.proto"]


def run(binary, out, *closure):
    return subprocess.run([TOOL, binary, out, *(["--closure", *closure] if closure else [])],
                          capture_output=True, text=True)


@pytest.fixture(scope="module")
def envoy():
    return pathlib.Path(os.environ["EXEAT_ENVOY"])


@pytest.fixture(scope="module")
def done(envoy, tmp_path_factory):
    out = tmp_path_factory.mktemp("descriptors") / "envoy.pb"
    finished = run(envoy, out, *SERVICES)
    assert finished.returncode == 0, finished.stderr
    return out, finished.stdout.split()


@pytest.fixture(scope="module")
def files(done):
    return descriptor_pb2.FileDescriptorSet.FromString(done[0].read_bytes()).file


@pytest.fixture(scope="module")
def pool(files):
    """Loading checks every type and every import against the rest."""
    made, waiting = descriptor_pool.DescriptorPool(), {file.name: file for file in files}

    def add(name):
        file = waiting.pop(name, None)
        if file is not None:
            for need in file.dependency:
                add(need)
            made.Add(file)
    for name in list(waiting):
        add(name)
    return made, [file.name for file in files]


def test_every_import_is_there_once(files):
    names = [file.name for file in files]
    assert len(names) == len(set(names))
    assert {need for file in files for need in file.dependency} <= set(names)
    assert len(names) >= 500


def test_every_file_loads(pool):
    made, names = pool
    for name in names:
        assert made.FindFileByName(name).name == name


@pytest.mark.parametrize("message", [
    "envoy.service.auth.v3.CheckResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    "envoy.extensions.transport_sockets.tls.v3.Secret",
])
def test_holds_what_is_spoken_and_pushed(pool, message):
    assert pool[0].FindMessageTypeByName(message).fields


def test_the_services_have_their_methods(pool):
    service = pool[0].FindServiceByName(
        "envoy.service.discovery.v3.AggregatedDiscoveryService")
    assert "DeltaAggregatedResources" in service.methods_by_name


def test_the_closure_is_what_the_services_need_and_no_more(done, files):
    needs = {file.name: set(file.dependency) for file in files}
    closure = set(done[1])
    assert set(SERVICES) <= closure < set(needs)
    for name in closure:
        assert {n for n in needs[name] if not n.startswith("google/protobuf/")} <= closure


def test_an_unchanged_set_keeps_its_time(envoy, done):
    out = done[0]
    before = out.stat().st_mtime_ns
    assert run(envoy, out).returncode == 0
    assert out.stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def ends(envoy, files):
    """Where in the binary the descriptors begin and end."""
    data = envoy.read_bytes()
    at = sorted(data.index(file.SerializeToString()[:64]) for file in files[::40])
    return data, at


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_a_truncated_binary_is_refused_and_writes_nothing(ends, tmp_path, part):
    data, at = ends
    cut = tmp_path / "cut"
    cut.write_bytes(data[:at[int(len(at) * part)]])
    finished = run(cut, tmp_path / "out.pb", *SERVICES)
    assert finished.returncode != 0
    assert "unresolved" in finished.stderr
    assert not (tmp_path / "out.pb").exists()


@pytest.mark.parametrize("content", [b"", b"\x7fELF" + bytes(4096)])
def test_what_is_no_envoy_is_refused(tmp_path, content):
    other = tmp_path / "other"
    other.write_bytes(content)
    finished = run(other, tmp_path / "out.pb")
    assert finished.returncode != 0 and not (tmp_path / "out.pb").exists()


def test_a_root_that_is_not_there_is_named(envoy, tmp_path):
    finished = run(envoy, tmp_path / "out.pb", "envoy/none.proto")
    assert finished.returncode != 0 and "envoy/none.proto" in finished.stderr
