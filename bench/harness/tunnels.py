"""P2: exeat asking once a connection, against an Envoy that only routes, on the CONNECT leg."""
import contextlib
import statistics
import time

from tests.e2e.harness import edge as edges

from . import router_only
from .chains import CONNECTIONS, HOST, settings
from .children import Child, envoy_child, free_port, wait_listening
from .load import check
from .machine import EDGE_CORE, LOAD_CORE, on_core
from .origin import Origin
from .rounds import Result, interleave, ratio_of

WARM_UP_S = 2
RECORDED_WITHIN_S = 10


class Arm:
    """Tunnels that are kept open through a proxy."""

    def __init__(self, bench, stack, origin, proxy, token):
        self._origin = origin
        file = bench.directory / f"p2-token-{proxy}"
        file.write_text(token)
        self._load = stack.enter_context(Child(
            LOAD_CORE, [bench.program("tunnel_load"), proxy, f"{HOST}:{origin.port}", CONNECTIONS,
                        file], log=bench.directory / f"p2-{proxy}.log"))
        self.requests = 0

    def _ask(self, line):
        before = self._origin.requests()
        answered, *figures = self._load.ask(line).split() or [0]
        reached = self._origin.requests() - before
        check(int(answered) == reached > 0,
              f"{answered} requests were answered, but {reached} reached the origin")
        self.requests += reached
        return [float(figure) for figure in figures]

    def rate(self, seconds):
        return self._ask(f"load {seconds}")[0]

    def latency_us(self, rate, seconds):
        """(median, 99th percentile) of requests that begin at a fixed rate."""
        return self._ask(f"pace {rate} {seconds}")


@contextlib.contextmanager
def _arms(bench, origin):
    certificate, key = bench.authority.issue("static", [HOST])
    wanted = settings(bench, origin, free_port())
    wanted["listeners"] = {"proxy": "127.0.0.1:0"}
    wanted["destinations"][0]["authorize"] = "connection"
    directory = bench.directory / "p2-router"
    directory.mkdir()
    port = free_port()
    (directory / "bootstrap.json").write_text(router_only.connect(
        port, certificate, key, bench.authority.certificate, origin))
    with contextlib.ExitStack() as stack:
        with on_core(EDGE_CORE):
            edge = edges.Edge(bench.directory / "p2-exeat", wanted)
        stack.callback(edge.stop)
        stack.enter_context(envoy_child(EDGE_CORE, edges.envoy(), directory, "bootstrap.json"))
        wait_listening("127.0.0.1", port)
        token = edge.token()
        yield edge, {"a": Arm(bench, stack, origin, edge.proxy, token),
                     "b": Arm(bench, stack, origin, f"127.0.0.1:{port}", token)}
        edge.verify_audit()


def _recorded(edge, requests):
    """Every request that was not asked about has left its outcome: the log comes in batches."""
    def records():
        return edge.metric("exeat_audit_records_total")
    deadline = time.monotonic() + RECORDED_WITHIN_S
    while records() < requests and time.monotonic() < deadline:
        time.sleep(0.1)
    check(records() >= requests, f"{requests} requests, but {records():.0f} audit records")


def run(bench, _):
    seconds = bench.plan.seconds
    with Origin(bench.directory / "p2-origin", bench.authority, [HOST]) as origin, \
            _arms(bench, origin) as (edge, arms):
        for arm in arms.values():
            arm.rate(min(WARM_UP_S, seconds))
        _recorded(edge, arms["a"].requests)
        asked = edge.metric("exeat_decisions_total")
        rates = []

        def measure(name):
            rates.append((name, arms[name].rate(seconds)))
            return rates[-1][1]
        yield ratio_of(bench.plan, "P2", "exeat, asking once a connection / router-only Envoy on "
                       "the CONNECT leg", 0.60, measure)
        half = statistics.median(rate for name, rate in rates if name == "a") / 2
        _, dropped, disturbed, used = interleave(
            bench.plan, lambda name: arms[name].latency_us(half, seconds), lambda *_: None)
        check(edge.metric("exeat_decisions_total") == asked, "a request was asked about")
        _recorded(edge, arms["a"].requests)
        for place, name, goal_ms in ((0, "p50", 0.15), (1, "p99", 1.0)):
            ours, bare = (statistics.median(arm[place] for arm in column) for column in zip(*used))
            yield Result(f"P2.{name}", f"its {name} minus the router's at half of that rate, ms",
                         [(a[place] - b[place]) / 1000 for a, b in used], goal_ms, at_most=True,
                         dropped=dropped, disturbed=disturbed,
                         rates=f"{ours:,.0f} us against {bare:,.0f} us at {half:,.0f}/s")
