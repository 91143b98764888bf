"""P1: exeat against the same Envoy chain with a null ext_authz server, on the transparent leg."""
import contextlib

import yaml
from tests.e2e.harness import edge as edges

from .children import Child, envoy_child, free_port, wait_listening
from .load import check, h2load, requests_for
from .machine import EDGE_CORE, on_core
from .origin import ADDRESS, Origin
from .rounds import ratio_of

HOST = "api.example.test"
CONNECTIONS = 16


def settings(bench, origin, listener_port):
    """One destination with a credential; no limit that the load could reach."""
    return edges.policy(
        bench.authority.certificate, {HOST: ADDRESS},
        [{"name": "api", "host": HOST, "ports": [origin.port], "credential": "api",
          "allow": [{"methods": ["GET"], "path": "/v1/**"}]}],
        [{"name": "api", "kind": "header", "header": "x-api-key",
          "source": {"file": str(bench.secret("sk-real-of-the-bench"))}}],
        listeners={"transparent": f"127.0.0.1:{listener_port}"})


class Arm:
    """A listener that bumps, and a token it takes."""

    def __init__(self, origin, port, token, directory):
        self.origin, self.port, self.token = origin, port, token
        self.directory = directory
        wait_listening("127.0.0.1", port)
        self.rate = self.load(CONNECTIONS * 20)

    def load(self, requests):
        """Requests a second; each was answered 2xx and reached the origin."""
        before = self.origin.requests()
        rate = h2load(requests, "--h1", "-c", CONNECTIONS, f"--connect-to=127.0.0.1:{self.port}",
                      "-H", f"authorization: Bearer {self.token}",
                      f"https://{HOST}:{self.origin.port}/v1/items/4711")
        reached = self.origin.requests() - before
        check(reached == requests, f"{requests} requests, but {reached} reached the origin")
        return rate


@contextlib.contextmanager
def exeat_arm(bench, origin):
    """The product itself: exeat up."""
    directory = bench.directory / "p1-exeat"
    with on_core(EDGE_CORE):
        edge = edges.Edge(directory, settings(bench, origin, free_port()))
    try:
        yield Arm(origin, int(edge.transparent.rsplit(":", 1)[1]), edge.token(), directory)
    finally:
        edge.stop()


@contextlib.contextmanager
def rig(bench, origin, kind, name, names=0):
    """exeat's configuration served by edge_rig: (Child of the control plane, port, token)."""
    directory = bench.directory / name
    directory.mkdir(mode=0o700)
    port = free_port()
    policy = directory / "exeat.yaml"
    policy.write_text(yaml.safe_dump(settings(bench, origin, port), sort_keys=False))
    with Child(EDGE_CORE, [bench.program("edge_rig"), policy, directory, kind, names],
               log=directory / "rig.log") as control:
        with envoy_child(EDGE_CORE, edges.envoy(), directory, "bootstrap.json"):
            wait_listening("127.0.0.1", port)
            yield control, port, control.ready.split()[1]


def run(bench, _):
    with Origin(bench.directory / "p1-origin", bench.authority, [HOST]) as origin, \
            exeat_arm(bench, origin) as ours, \
            rig(bench, origin, "null", "p1-null") as (control, port, token):
        null = Arm(origin, port, token, bench.directory / "p1-null")
        arms = {"a": ours, "b": null}
        for arm in arms.values():  # warm-up, and how many requests fill a round
            for _ in range(2):
                arm.rate = arm.load(requests_for(min(2, bench.plan.seconds), arm.rate,
                                                 CONNECTIONS))
        asked = control.counts()[0]
        sent = 0

        def measure(name):
            nonlocal sent
            arm = arms[name]
            requests = requests_for(bench.plan.seconds, arm.rate, CONNECTIONS)
            sent += requests if arm is null else 0
            return arm.load(requests)
        result = ratio_of(bench.plan, "P1", "exeat, asking on each request / the same chain with a "
                          "null ext_authz server", 0.90, measure)
        # The chain by hand asks as often: otherwise the two were not the same chain.
        check(control.counts()[0] - asked == sent, "the null server was not asked on each request")
        yield result
