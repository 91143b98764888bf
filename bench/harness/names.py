"""P6: connections to names that have no leaf yet, against an Envoy that only routes and has one
static leaf for all of them."""
import json
import statistics
import subprocess

from tests.e2e.harness import edge as edges

from . import router_only
from .chains import HOST, rig
from .children import envoy_child, free_port, wait_listening
from .load import check
from .machine import EDGE_CORE, LOAD_CORE, on_core
from .origin import Origin
from .rounds import Result, interleave, ratio_of

NAMES = 3000
PARALLEL = 8
KNOWN_SHARE = 0.1  # of NAMES, asked one by one for their first byte


def connect(bench, port, origin, token, count, parallel):
    """new_names' figures; every answer was 200."""
    with on_core(LOAD_CORE):
        done = subprocess.run(
            [bench.program("new_names"), "127.0.0.1", str(port), "0", str(count), str(parallel),
             str(origin.port)], input=token + "\n", capture_output=True, text=True, timeout=600)
    check(done.returncode == 0, f"new_names: {done.stderr}")
    figures = json.loads(done.stdout)
    check(figures["failed"] == 0, f"{figures['failed']} of {count} failed: {done.stderr}")
    return figures


def _evict(control):
    answer = control.ask("evict")
    check(answer == "evicted", f"the leaves were not given back: {answer}")


def _first_byte(bench, control, arguments):
    """(new, known): medians of the same names, asked one at a time."""
    count = round(NAMES * KNOWN_SHARE)
    _evict(control)
    minted = control.counts()[2]
    new = connect(bench, *arguments, count, 1)["p50_ms"]
    check(control.counts()[2] - minted == count, "not every new name was minted")
    known = connect(bench, *arguments, count, 1)["p50_ms"]
    check(control.counts()[2] - minted == count, "a known name was minted again")
    return new, known


def run(bench, _):
    directory = bench.directory / "p6-router"
    directory.mkdir()
    certificate, key = bench.authority.issue("static", ["*.names.example.test"])
    with Origin(bench.directory / "p6-origin", bench.authority, [HOST]) as origin, \
            rig(bench, origin, "ours", "p6-exeat", NAMES) as (control, port, token):
        ours = port, origin, token
        bare_port = free_port()
        (directory / "bootstrap.json").write_text(router_only.transparent(
            bare_port, certificate, key, bench.authority.certificate, origin))
        with envoy_child(EDGE_CORE, edges.envoy(), directory, "bootstrap.json"):
            wait_listening("127.0.0.1", bare_port)
            bare = bare_port, origin, token
            warm_up = NAMES // 20
            connect(bench, *ours, warm_up, PARALLEL)
            connect(bench, *bare, warm_up, PARALLEL)
            count = NAMES // 4 if bench.plan.quick else NAMES

            def measure(name):
                if name == "a":
                    _evict(control)
                return connect(bench, *(ours if name == "a" else bare), count, PARALLEL)["rate"]
            yield ratio_of(bench.plan, "P6", "new-SNI bumped connections / router-only Envoy with "
                           "a static leaf", 0.85, measure)
        pairs = []

        def first_byte(name):
            if name == "a":
                pairs.append(_first_byte(bench, control, ours))
            return pairs[-1][0 if name == "a" else 1]
        figures, dropped, disturbed, used = interleave(bench.plan, first_byte,
                                                       lambda new, known: new - known)
        new, known = (statistics.median(column) for column in zip(*used))
        yield Result("P6.first_byte_ms", "first byte with a new name minus a known one, ms",
                     figures, 1.5, at_most=True, dropped=dropped, disturbed=disturbed,
                     rates=f"{new:.2f} ms against {known:.2f} ms")
