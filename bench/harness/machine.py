"""Cores, and how much of them others took while something was measured."""
import contextlib
import os
import pathlib
import time

EDGE_CORE, LOAD_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_core(core):
    """Children started within run on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _machine_ticks():
    """(busy, stolen) of all cores since boot."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return user + nice + system + irq + softirq, steal


def _own_ticks():
    """What this program and everything below it took, the reaped included."""
    rows = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = pathlib.Path(f"/proc/{entry}/stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            rows[int(entry)] = text.rsplit(") ", 1)[1].split()
    own, frontier = 0, [os.getpid()]
    while frontier:
        pid = frontier.pop()
        own += sum(map(int, rows[pid][11:15]))
        frontier += [child for child, row in rows.items() if int(row[1]) == pid]
    return own


class Window:
    """The share of all cores that others, and the hypervisor, took between start and stop."""

    def __init__(self):
        self._started = time.monotonic()
        self._busy, self._stolen = _machine_ticks()
        self._own = _own_ticks()

    def stop(self):
        elapsed = (time.monotonic() - self._started) * TICKS * os.cpu_count()
        busy, stolen = _machine_ticks()
        foreign = (busy - self._busy) - (_own_ticks() - self._own)
        return max(0.0, foreign / elapsed, (stolen - self._stolen) / elapsed)
