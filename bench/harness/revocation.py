"""P11 and P12: what a revoke takes, on the product itself, against what a round trip and a sync take
in the same minutes."""
import contextlib
import pathlib
import statistics

from tests.e2e.harness import edge as edges, guest

from .chains import HOST, settings
from .children import Child, free_port, wait_listening
from .load import check
from .machine import EDGE_CORE, LOAD_CORE, on_core
from .origin import ADDRESS, Origin
from .rounds import Result, interleave

TRIALS = {"P11": 10_000, "P12": 1_000}
QUICK = {"P11": 40, "P12": 40}


def port_of(address):
    return int(address.rsplit(":", 1)[1])


@contextlib.contextmanager
def revoker(bench, edge, host, port):
    """The operator of an edge, and guests to ask its control."""
    with Child(LOAD_CORE, [bench.program("revoker"), edge.state, host, port, port_of(edge.proxy),
                           edge.policy["deployment"]],
               log=edge.directory / "revoker.log") as child:
        yield child


def numbers(child, line):
    answer = child.ask(line)
    check(answer, f"`{line}` failed: {pathlib.Path(child.log).read_text()}")
    return [int(word) for word in answer.split()]


@contextlib.contextmanager
def _edge(bench, name):
    with Origin(bench.directory / f"{name}-origin", bench.authority, [HOST]) as origin:
        wanted = settings(bench, origin, free_port())
        wanted["listeners"]["proxy"] = "127.0.0.1:0"
        with on_core(EDGE_CORE):
            edge = edges.Edge(bench.directory / name, wanted)
        try:
            wait_listening("127.0.0.1", port_of(edge.proxy))
            warm = guest.get(edge, f"https://{HOST}:{origin.port}/v1/items", edge.token())
            check(warm.status == 200, f"the edge does not serve: {warm}")  # its leaf is there now
            with revoker(bench, edge, HOST, origin.port) as child:
                yield child
            edge.verify_audit()
        finally:
            edge.stop()


def _trials(bench, id_):
    return QUICK[id_] if bench.plan.quick else -(-TRIALS[id_] // bench.plan.rounds)


def _paired(plan, ask, ours, base):
    """Rounds whose two arms come out of one asking: (figures, dropped, disturbed, answers)."""
    answers = []

    def measure(name):
        if name == "a":
            answers.append(ask())
        return answers[-1]
    figures, dropped, disturbed, _ = interleave(plan, measure,
                                                lambda a, _: ours(a) / base(a))
    return figures, dropped, disturbed, answers


def _medians(answers):
    return [statistics.median(column) for column in zip(*answers)]


def _in_force(bench):
    """P11."""
    trials = _trials(bench, "P11")
    with _edge(bench, "p11") as child:
        numbers(child, f"force {max(5, trials // 20)}")  # warm-up
        _, dropped, disturbed, answers = _paired(
            bench.plan, lambda: numbers(child, f"force {trials}"), lambda a: a[2], lambda a: a[0])
    late = sum(answer[4] for answer in answers)
    check(late == 0, f"{late} allows began after the acknowledgement was read")
    uncut = sum(answer[5] for answer in answers)
    null_p50, null_p99, p50, p99, *_ = _medians(answers)
    what = "last allow after a revoke was sent / null round trip"
    rates = (f"{p50:,.0f} and {p99:,.0f} us against {null_p50:,.0f} and {null_p99:,.0f} us; 0 "
             f"allows begun after the acknowledgement in {len(answers) * trials:,} trials, {uncut} "
             "streams not seen cut within a second")
    common = {"at_most": True, "dropped": dropped, "disturbed": disturbed, "rates": rates}
    yield Result("P11.p50", f"{what}, medians", [a[2] / a[0] for a in answers], 1.5, **common)
    yield Result("P11.p99", f"{what}, 99th percentiles", [a[3] / a[1] for a in answers], 3.0,
                 **common)


def _durable(bench):
    """P12."""
    trials = _trials(bench, "P12")
    with _edge(bench, "p12") as child:
        # The warm-up takes the database's log around once: while it grows, a sync costs more.
        numbers(child, f"durable {5 if bench.plan.quick else 250}")
        figures, dropped, disturbed, answers = _paired(
            bench.plan, lambda: numbers(child, f"durable {trials}"), lambda a: a[2],
            lambda a: a[0] + a[1])
    null, sync, acknowledged = _medians(answers)
    yield Result("P12", "durable acknowledgement of a revoke / (null round trip + one fdatasync)",
                 figures, 1.5, at_most=True, dropped=dropped, disturbed=disturbed,
                 rates=f"{acknowledged:,.0f} us against {null:,.0f} + {sync:,.0f} us")


def run(bench, wanted):
    if "P11" in wanted:
        yield from _in_force(bench)
    if "P12" in wanted:
        yield from _durable(bench)
