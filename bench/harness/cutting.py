"""P13: how long after the acknowledgement of a revoke an open stream of any kind still lives."""
import contextlib
import resource
import time

from tests.e2e.harness import edge as edges, streams
from tests.e2e.harness.origin import Origin
from tests.e2e.harness.origin_grpc import GrpcOrigin

from .children import Child
from .load import check
from .machine import EDGE_CORE, LOAD_CORE, Window, on_core
from .revocation import revoker
from .rounds import MAX_FOREIGN, Result

HOST, GRPC_HOST = "api.example.test", "grpc.example.test"
OPEN = (1, 1000, 5000)
QUICK = (1, 200)
TRIALS = 100  # of each kind
FILES = 16384
LOOK_S = 0.0001
PATIENCE_S = 5
GOAL_MS = 250
ANSWER_MS = 1000  # an answer waits no longer


class Bench:
    """An edge with its origins, its operator and its guests."""

    def __init__(self, bench, edge, child, targets):
        self._bench, self._edge, self._child, self._targets = bench, edge, child, targets

    def session(self):
        return self._child.ask("session").split()

    @contextlib.contextmanager
    def others(self, count):
        """So many open tunnels of another session, each of which has carried a request."""
        sid, token = self.session()
        file = self._bench.directory / "p13-token"
        file.write_text(token)
        with Child(LOAD_CORE, [self._bench.program("tunnel_load"), self._edge.proxy,
                               self._targets["tunnel"].removeprefix("https://"), count, file],
                   log=self._bench.directory / "p13-others.log") as tunnels:
            check(tunnels.ask("once") == "served", "the other session is not served")
            yield Others(self._child, sid, tunnels)

    def cut_ms(self, kind, leg):
        """The end that the guest's kernel sees, after the acknowledgement and after the revoke
        was sent; 0 if it was the first of the two."""
        sid, token = self.session()
        target = self._targets[kind]
        stream = streams.bare_tunnel(self._edge, target, token) if kind == "tunnel" else \
            streams.start(kind, self._edge, target, leg, token)
        sent = time.monotonic_ns()
        self._child.tell(f"revoke {sid}")
        deadline = time.monotonic() + PATIENCE_S
        while not stream.reset and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        ended = time.monotonic_ns()
        acknowledged, cut, uncut = map(int, self._child.hear().split())
        check(stream.reset and cut >= 1 and uncut == 0,
              f"{kind}, {leg}: {cut} cut, {uncut} not, and its guest sees "
              f"{'an' if stream.reset else 'no'} end")
        check(stream.broken(), f"{kind}, {leg}: {stream.problem!r}")
        stream.close()
        return max(0, ended - acknowledged) / 1e6, (ended - sent) / 1e6


class Others:
    """The open tunnels of one session."""

    def __init__(self, child, sid, tunnels):
        self._child, self._sid, self._tunnels = child, sid, tunnels

    def live(self):
        check(self._tunnels.ask("once") == "served", "a bystander was cut")

    def cut_ms(self):
        """99th percentile and last of their ends after the acknowledgement, and how many streams
        the answer left uncut."""
        self._tunnels.tell("ended")
        acknowledged, _, uncut = map(int, self._child.ask(f"revoke {self._sid}").split())
        ends = self._tunnels.hear().split()
        check(len(ends) == 2, "a tunnel did not end")
        return [*(max(0, int(end) - acknowledged) / 1e6 for end in ends), uncut]


@contextlib.contextmanager
def _opened(bench):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check(hard >= FILES, f"{FILES} open files are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_core(LOAD_CORE))
        origin = Origin(bench.authority.issue("p13", [HOST]))
        stack.callback(origin.close)
        grpc_origin = GrpcOrigin(bench.authority.issue("p13-grpc", [GRPC_HOST]))
        stack.callback(grpc_origin.close)
        with on_core(EDGE_CORE):
            edge = edges.Edge(bench.directory / "p13", edges.policy(
                bench.authority.certificate,
                {HOST: origin.address, GRPC_HOST: grpc_origin.address},
                [{"name": "api", "host": HOST, "ports": [origin.port]},
                 {"name": "grpc", "host": GRPC_HOST, "ports": [grpc_origin.port]}]))
        stack.callback(edge.stop)
        child = stack.enter_context(revoker(bench, edge, HOST, origin.port))
        targets = dict.fromkeys([*streams.KINDS, "tunnel"], f"https://{HOST}:{origin.port}")
        targets["grpc"] = f"https://{GRPC_HOST}:{grpc_origin.port}"
        yield Bench(bench, edge, child, targets)


def _p99(values):
    return sorted(values)[int(0.99 * (len(values) - 1) + 0.5)]


class Worst(Result):
    """Of the kinds' 99th percentiles the highest counts."""

    @property
    def ratio(self):
        return max(self.ratios)


def _kinds(opened, trials):
    """{kind: (99th percentiles after the acknowledgement and after the revoke was sent)}"""
    each = {}
    for kind in [*streams.KINDS, "tunnel"]:
        legs = ["connect"] if kind == "tunnel" else streams.LEGS
        for leg in legs:  # warm-up
            opened.cut_ms(kind, leg)
        taken = [opened.cut_ms(kind, legs[i % len(legs)]) for i in range(trials)]
        each[kind] = [_p99(column) for column in zip(*taken)]
    return each


def run(bench, _):
    trials = 4 if bench.plan.quick else TRIALS
    with _opened(bench) as opened:
        for count in QUICK if bench.plan.quick else OPEN:
            with opened.others(max(1, count - 1)) as others:
                window = Window()
                each = _kinds(opened, trials)
                disturbed = window.stop() > MAX_FOREIGN
                others.live()
                yield Worst(
                    f"P13.{count}", f"a stream's end after the acknowledgement with {count:,} "
                    "connections open, ms: 99th percentile of the worst kind",
                    [after for after, _ in each.values()], GOAL_MS, at_most=True,
                    disturbed=disturbed, rates="after the revoke was sent: " + ", ".join(
                        f"{kind} {ms:.1f}" for kind, (_, ms) in each.items()))
                if count == 1:
                    continue
                window = Window()
                p99, last, uncut = others.cut_ms()
                yield Result(f"P13.all.{count}", f"the ends of {count - 1:,} tunnels of one "
                             "session after the acknowledgement, ms: 99th percentile",
                             [max(p99, ANSWER_MS) if uncut else p99], GOAL_MS, at_most=True,
                             disturbed=window.stop() > MAX_FOREIGN,
                             rates=f"{p99:.1f} ms, the last {last:.1f} ms; {uncut} were not seen "
                             "to end before the answer")
