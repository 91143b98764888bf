"""One running edge: policy, process, command line, audit."""
import copy
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import yaml

from . import processes
from .auditlog import Record
from .poll import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[3]
READY = re.compile(r"^ready proxy=(\S+) transparent=(\S+) operator=(\S+)$")
# Only the variables a guest or operator of the test may have; never the machine's own proxy.
CLEAN = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()
         and k not in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO",
                       "NODE_EXTRA_CA_CERTS")}


def binary():
    return os.environ.get("EXEAT_BIN") or str(ROOT / "build" / "exeat")


@functools.cache
def envoy():
    given = os.environ.get("EXEAT_ENVOY")
    if given:
        return given
    return subprocess.run([str(ROOT / "tools" / "fetch-envoy")], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def policy(trust, hosts, destinations, credentials=(), **more):
    """A policy on free ports whose origins stand on 127.10.0.0/16, opened on purpose."""
    made = {
        "version": 1, "deployment": "e2e",
        "listeners": {"proxy": "127.0.0.1:0", "transparent": "127.0.0.1:0"},
        "posture": "bump",
        "resolver": {"hosts": {name: [address] if isinstance(address, str) else address
                               for name, address in hosts.items()},
                     "allow_private": ["127.10.0.0/16"]},
        "upstream_trust": str(trust),
        "credentials": list(credentials), "destinations": list(destinations)}
    made.update(more)
    return {key: value for key, value in made.items() if value is not None}


class CliError(AssertionError):
    def __init__(self, completed):
        super().__init__(f"{completed.args} exited {completed.returncode}:\n"
                         f"{completed.stdout}{completed.stderr}")
        self.completed = completed


class Edge:
    def __init__(self, directory, settings, start=True, user=None, env=None, without=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = self.directory / "state"
        self.policy_file = self.directory / "exeat.yaml"
        self.policy = copy.deepcopy(settings)
        self.environment = {**CLEAN, **(env or {})}  # of `up`; commands keep the clean one
        self.without = without  # what the machine permits no process of it (without.py)
        self.process = None
        self.proxy = self.transparent = self.operator = None
        self._ca = None
        # Who runs the edge and its command line: None is whoever runs the tests.
        self.identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.write_policy()
        if start:
            self.start()

    # -- the process ---------------------------------------------------------------------------

    def write_policy(self, settings=None):
        if settings is not None:
            self.policy = copy.deepcopy(settings)
        unshared = json.loads(json.dumps(self.policy))  # or YAML would have anchors in it
        self.policy_file.write_text(yaml.safe_dump(unshared, sort_keys=False))

    def command(self):
        less = [sys.executable, str(pathlib.Path(__file__).with_name("without.py")),
                *self.without, "--"] if self.without else []
        return [*less, binary(), "up", "-c", str(self.policy_file), "--state", str(self.state),
                "--envoy", envoy()]

    def start(self, wait=True, timeout_s=30):
        self._lines = []
        with open(self.directory / "stderr.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log,
                                            cwd=self.directory, text=True,
                                            env=self.environment, **self.identity)
        threading.Thread(target=self._read, args=(self.process.stdout, self._lines),
                         daemon=True).start()
        if wait:
            self.wait_ready(timeout_s)

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_ready(self, timeout_s=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"exeat up exited {self.process.returncode}: {self.log()}")
            return next((m for m in map(READY.match, self._lines) if m), None)
        try:
            found = wait_for(ready, "the ready line", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        self.proxy, self.transparent, self.operator = found.groups()

    def log(self, tail=6000):
        path = self.directory / "stderr.log"
        return path.read_text(errors="replace")[-tail:] if path.exists() else ""

    def roles(self):
        """{"guardian", "control", "envoy": Process}, as doctor and /proc agree."""
        below = processes.descendants(self.process.pid)
        found = {"guardian": processes.Process(self.process.pid)}
        for process in below:
            is_envoy = pathlib.Path(envoy()).name in os.path.basename(
                process.command.split(" ")[0])
            if process.running:
                found.setdefault("envoy" if is_envoy else "control", process)
        return found

    def stop(self, timeout_s=20, expect=0):
        """SIGTERM, then nothing of this edge may be left."""
        if self.process is None:
            return
        below = processes.descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.destroy()
            raise AssertionError(f"SIGTERM did not end the edge in {timeout_s} s\n{self.log()}")
        self.process = None
        assert code == expect, f"exit {code} after SIGTERM, not {expect}\n{self.log()}"
        left = [p for p in below if p.state is not None]
        wait_for(lambda: not [p for p in left if p.state is not None],
                 f"no leftover of {left}", 3)

    def destroy(self):
        """The last resort of a failing test; by pid."""
        if self.process is None:
            return
        below = processes.descendants(self.process.pid)
        self.process.kill()
        for process in below:
            process.kill()
        self.process.wait()
        self.process = None

    # -- the command line ----------------------------------------------------------------------

    def run(self, *arguments, state=True, timeout_s=30, after=(), **options):
        """The completed process of one command, whatever it answered."""
        command = [binary(), *map(str, arguments)]
        if state:
            command += ["--state", str(self.state)]
        return subprocess.run([*command, *after], capture_output=True, text=True,
                              timeout=timeout_s, env=options.pop("env", CLEAN),
                              **self.identity, **options)

    def cli(self, *arguments, **options):
        """The JSON that a successful command printed: one value, or a list of its lines."""
        done = self.run(*arguments, "--json", **options)
        if done.returncode != 0:
            raise CliError(done)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines() if line]

    def session(self, *grants, sub=None, ttl=None):
        """A fresh session: {"sid", "token", "expires_at", "proxy_url"}."""
        arguments = [word for grant in grants for word in ("--grant", grant)]
        if sub:
            arguments += ["--sub", sub]
        if ttl:
            arguments += ["--ttl", ttl]
        return self.cli("session", "create", *arguments)

    def token(self, *grants, **options):
        return self.session(*grants, **options)["token"]

    def revoke(self, *selector, reason="test", **options):
        """Revokes and returns the acknowledgement."""
        answer = self.cli("session", "revoke", *selector, "--reason", reason, **options)
        answer = answer if isinstance(answer, list) else [answer]
        assert answer[0]["acknowledged"] is True
        return answer

    def apply(self, settings=None):
        self.write_policy(settings)
        return self.cli("policy", "apply", self.policy_file)

    @property
    def ca(self):
        """The deployment's CA as PEM."""
        if self._ca is None:
            done = self.run("ca", "show")
            assert done.returncode == 0, done.stderr
            self._ca = done.stdout
        return self._ca

    # -- audit ---------------------------------------------------------------------------------

    def audit(self, **having):
        """All records; `having` keeps those whose Record properties equal these values."""
        done = self.run("audit", "export")
        assert done.returncode == 0, done.stderr
        records = [Record(json.loads(line)) for line in done.stdout.splitlines() if line]
        return [r for r in records if all(getattr(r, k) == v for k, v in having.items())]

    def verify_audit(self):
        done = self.run("audit", "verify")
        assert done.returncode == 0, f"audit verify: {done.stdout}{done.stderr}"

    def metric(self, name):
        """The sum of a metric's samples, 0 when there is none."""
        done = self.run("metrics")
        assert done.returncode == 0, done.stderr
        return sum(float(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines()
                   if re.match(rf"{re.escape(name)}(\{{|\s)", line))
