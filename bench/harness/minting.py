"""P7 and P8: bench/mint_bench.cc measures both arms in one process and prints the ratios."""
import json
import subprocess

from .load import check
from .machine import EDGE_CORE, Window, on_core
from .rounds import MAX_FOREIGN, Result

WHAT = {"P7": "mint / raw keygen + sign (fresh key)", "P8": "mint / raw sign (shared key)"}


def run(bench, wanted):
    """It counts its own processor time, so what others take costs precision and no round."""
    window = Window()
    with on_core(EDGE_CORE):
        done = subprocess.run(
            [bench.program("mint_bench"), "--seconds", str(bench.plan.seconds / 5),
             "--rounds", str(bench.plan.rounds)], capture_output=True, text=True, timeout=1800)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    check(len(lines) == 2, f"mint_bench: {done.stderr}")
    rates = dict(line.split(": ", 1) for line in done.stderr.splitlines() if ": " in line)
    disturbed = window.stop() > MAX_FOREIGN
    for line in lines:
        if line["id"] in wanted:
            result = Printed(line["id"], WHAT[line["id"]], [line["ratio"]], line["goal"],
                             disturbed=disturbed, rates=rates.get(line["id"], ""))
            result.range = line["low"], line["high"]
            yield result


class Printed(Result):
    """A ratio whose rounds another program has seen."""

    def json(self):
        low, high = self.range
        return {**super().json(), "low": low, "high": high}
