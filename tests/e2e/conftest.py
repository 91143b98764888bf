"""Fixtures of every topic: one origin authority a run, one edge a module, checked at its end."""
import collections
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import auditlog, edge as edge_module, pki  # noqa: E402
from harness.origin import Origin  # noqa: E402
from harness.poll import wait_for  # noqa: E402

SECRET = "sk-real-3f9d1c7a5e"  # what no guest may ever see


@pytest.fixture(scope="session")
def run_directory():
    # Short on purpose: Unix socket paths hold 108 bytes.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="xe-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    if not os.environ.get("EXEAT_KEEP"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def authority(run_directory):
    return pki.Authority(run_directory / "pki")


@pytest.fixture(scope="module")
def directory(run_directory, request):
    made = run_directory / request.module.__name__.removeprefix("test_")
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def origin(authority):
    names = ["api.example.test", "git.example.test", "open.example.test", "limited.example.test"]
    made = Origin(authority.issue("origin", names))
    yield made
    made.close()


class Bench:
    """A module's edge and origins, and what must hold when its tests are done."""

    def __init__(self, directory, authority):
        self.directory, self.authority = directory, authority
        self.edges, self.origins, self.closers = [], [], []
        self.count_requests = True  # off where a test aborts requests half way
        self.client_bytes = []  # what guests received, where a module collects it

    def secret(self, name, value=SECRET):
        path = self.directory / f"secret-{name}"
        path.write_text(value + "\n")
        path.chmod(0o600)
        return path

    def edge(self, settings, name="edge", **options):
        made = edge_module.Edge(self.directory / name, settings, **options)
        self.edges.append(made)
        return made

    def origin(self, label, names, **options):
        made = Origin(self.authority.issue(label, names), **options)
        self.origins.append(made)
        return made

    def finish(self):
        problems = []
        for made in self.edges:
            for check in (self._check_audit, self._check_requests, lambda e: e.stop()):
                if made.process is None:
                    continue
                try:
                    check(made)
                except AssertionError as error:
                    problems.append(str(error))
            made.destroy()
        for made in self.origins:
            made.close()
        for close in self.closers:
            close()
        assert not problems, "\n".join(problems)

    @staticmethod
    def _check_audit(made):
        made.verify_audit()

    def _check_requests(self, made):
        """Every request an origin saw was allowed and recorded, and nothing else was."""
        if not self.count_requests or len(self.edges) != 1:
            return

        def counted():
            recorded = auditlog.reached_origin(made.audit())
            return (collections.Counter(r.path for r in recorded if r.answered),
                    collections.Counter(
                        r.path.partition("?")[0] for o in self.origins for r in o.requests),
                    collections.Counter(r.path for r in recorded))

        def agree():
            answered, seen, recorded = counted()
            return answered <= seen <= recorded
        try:
            wait_for(agree, "each request of an origin is recorded, each answer is an origin's",
                     10, 0.3)
        except AssertionError as error:
            answered, seen, recorded = counted()
            raise AssertionError(f"{error}: not recorded {seen - recorded}, "
                                 f"not at the origin {answered - seen}") from None


@pytest.fixture(scope="module")
def bench(directory, authority, origin):
    made = Bench(directory, authority)
    made.origins.append(origin)
    yield made
    made.finish()


@pytest.fixture(autouse=True)
def show_log(request):
    """A failing test shows the end of its edge's log."""
    yield
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed and "bench" in request.fixturenames:
        for made in request.getfixturevalue("bench").edges:
            print(f"--- {made.directory.name} stderr\n{made.log()}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())
