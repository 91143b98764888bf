"""What runs under an edge, read from /proc: tests never kill by name."""
import os
import pathlib
import signal

from .poll import wait_for


class Process:
    """A process bound to its start time, so that a reused pid is never mistaken for it."""

    def __init__(self, pid):
        self.pid = pid
        self._started = _stat(pid)[19]
        self.command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") \
            .decode(errors="replace").strip()

    def __repr__(self):
        return f"{self.pid} ({self.command[:80]})"

    @property
    def state(self):
        """One letter as in proc(5), or None when it is gone."""
        try:
            fields = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return None
        return fields[0] if fields[19] == self._started else None

    @property
    def running(self):
        return self.state not in (None, "Z", "X")

    def send(self, number):
        if self.state is not None:
            os.kill(self.pid, number)

    def kill(self):
        self.send(signal.SIGKILL)

    def stop(self):
        """SIGSTOP, until every thread stands: the others run on until the first has taken it."""
        self.send(signal.SIGSTOP)

        def stands():
            tasks = os.listdir(f"/proc/{self.pid}/task")
            return all(_stat(f"{self.pid}/task/{task}")[0] == "T" for task in tasks)
        wait_for(stands, f"{self} stands still")

    def wait_gone(self, timeout_s=5):
        wait_for(lambda: self.state is None, f"{self} is gone and reaped", timeout_s)

    def rss_kb(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def _stat(pid):
    """The fields of /proc/PID/stat from the state on."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text.rsplit(") ", 1)[1].split()


def _parents():
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                table[int(entry)] = int(_stat(int(entry))[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return table


def descendants(root):
    """Every live process below `root`, zombies included."""
    table, found, frontier = _parents(), [], [root]
    while frontier:
        parent = frontier.pop()
        children = [pid for pid, ppid in table.items() if ppid == parent]
        frontier += children
        for pid in children:
            try:
                found.append(Process(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def mentioning(text):
    """Every process whose command line names this path: what an edge left behind."""
    found = []
    for pid in _parents():
        try:
            process = Process(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in process.command and pid != os.getpid():
            found.append(process)
    return found
