"""P14 and the start-up: what a million revocations cost the product when it starts with them."""
import pathlib
import re
import statistics
import subprocess
import time

from tests.e2e.harness import edge as edges

from .chains import settings
from .children import free_port
from .load import check
from .machine import EDGE_CORE, on_core
from .rounds import Result, interleave

FEW, MANY = 100_000, 1_000_000
RAW_BYTES = 16  # of one entry
IN_LIST = re.compile(r"^exeat_denylist_entries (\d+)$", re.M)


class _Origin:
    """Named by the policy and never asked."""
    port = 443


class Starts:
    """An edge on a state directory with so many revocations, started again and again."""

    def __init__(self, bench, count):
        self.count = count
        self._edge = edges.Edge(bench.directory / f"p14-{count}",
                                settings(bench, _Origin, free_port()), start=False)
        self._edge.state.mkdir(mode=0o700)
        done = subprocess.run([bench.program("revoked_store"), str(self._edge.state / "exeat.db"),
                               str(count)], capture_output=True, text=True, timeout=600)
        check(done.returncode == 0, f"revoked_store: {done.stderr}")
        self.start()  # warm-up: makes keys, CA and the policy's first revision

    def start(self):
        """(seconds until it was ready, bytes of control's own memory then)."""
        edge = self._edge
        began = time.monotonic()
        with on_core(EDGE_CORE):
            edge.start()
        took_s = time.monotonic() - began
        try:
            status = pathlib.Path(f"/proc/{edge.roles()['control'].pid}/status").read_text()
            told = IN_LIST.search(edge.run("metrics").stdout)
            check(told and int(told[1]) == self.count, f"{told} entries, not {self.count}")
        finally:
            edge.stop()
        return took_s, int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1]) * 1024


def run(bench, wanted):
    few, many, none = (Starts(bench, count) for count in (FEW, MANY, 0))
    if "P14" in wanted:
        arms = {"a": many, "b": few}
        figures, _, _, used = interleave(
            bench.plan, lambda name: arms[name].start()[1],
            lambda more, less: (more - less) / (MANY - FEW) / RAW_BYTES)
        each = statistics.median(more - less for more, less in used) / (MANY - FEW)
        # Memory is not what others on the machine disturb.
        yield Result("P14", "bytes of control a revoked session / 16 raw, from 10^5 to 10^6",
                     figures, 2.5, at_most=True, rates=f"{each:.1f} bytes each")
    if "start-up" in wanted:
        arms = {"a": many, "b": none}
        figures, dropped, disturbed, used = interleave(
            bench.plan, lambda name: arms[name].start()[0], lambda more, _: more)
        less = statistics.median(seconds for _, seconds in used)
        yield Result("start-up", "from `exeat up` to ready with 10^6 revocations, s", figures, 2.0,
                     at_most=True, dropped=dropped, disturbed=disturbed,
                     rates=f"{less:.2f} s with none")
