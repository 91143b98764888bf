"""h2load on its own core, held to what it must have seen."""
import re
import subprocess

from .machine import LOAD_CORE, on_core

FINISHED = re.compile(r"finished in ([\d.]+)(ms|s|us), ([\d.]+) req/s")
DONE = re.compile(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed")
STATUS = re.compile(r"status codes: (\d+) 2xx")


class CheckFailed(Exception):
    """What a benchmark checks about itself did not hold: its figures mean nothing."""


def check(holds, message):
    if not holds:
        raise CheckFailed(message)


def h2load(requests, *arguments, timeout_s=300):
    """Requests a second; every one of them was answered 2xx."""
    with on_core(LOAD_CORE):
        done = subprocess.run(["h2load", "-n", str(requests), *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout_s)
    check(done.returncode == 0, f"h2load: {done.stderr}")
    finished, counts, status = (p.search(done.stdout) for p in (FINISHED, DONE, STATUS))
    check(finished and counts and status, f"h2load said: {done.stdout}")
    check([int(n) for n in counts.groups()] == [requests, requests, requests, 0]
          and int(status[1]) == requests, f"not every request was answered 2xx: {done.stdout}")
    return float(finished[3])


def requests_for(seconds, rate, multiple=1):
    """How many requests keep this rate busy for so long."""
    return max(multiple, round(seconds * rate / multiple) * multiple)
