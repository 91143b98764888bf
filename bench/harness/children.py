"""The programs of a benchmark, started on a core and ended with it."""
import os
import pathlib
import signal
import socket
import subprocess
import time

from .load import check
from .machine import on_core

CLEAN = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}


class Child:
    """A program that says "ready ..." and then answers lines."""

    def __init__(self, core, command, directory=None, log=None, speaks=True):
        self._log = open(log or os.devnull, "ab")
        with on_core(core):
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=directory, env=CLEAN, text=True,
                stdin=subprocess.PIPE if speaks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if speaks else self._log, stderr=self._log)
        self.log = log
        self.ready = self.hear() if speaks else None
        if speaks:
            check(self.ready.startswith("ready"), f"{command[0]} did not start: see {log}")

    def hear(self):
        return self.process.stdout.readline().strip()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line):
        self.tell(line)
        return self.hear()

    def counts(self):
        return [int(word) for word in self.ask("count").split()]

    def close(self):
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port(address="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_listening(address, port, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)
    check(False, f"nothing listens on {address}:{port}")


def envoy_child(core, binary, directory, bootstrap):
    """Started as exeat starts it."""
    directory = pathlib.Path(directory)
    return Child(core, [binary, "-c", bootstrap, "--reject-unknown-dynamic-fields",
                        "--disable-hot-restart", "--log-level", "warning"],
                 directory=directory, log=directory / "envoy.log", speaks=False)
