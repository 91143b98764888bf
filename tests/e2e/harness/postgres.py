"""A real PostgreSQL on a free port, run as an ordinary user, that a test may kill."""
import os
import pathlib
import pwd
import signal
import subprocess
import tempfile

from . import processes
from .chain_config import free_ports
from .poll import wait_for

PLACES = ["/usr/lib/postgresql/15/bin", "/usr/bin", "/usr/local/bin"]
PASSWORD = "pw-edges-66a1f0"
ACCESS = """local all super trust
host all super 127.0.0.1/32 trust
host all edge 127.0.0.1/32 scram-sha-256
"""


def _program(name):
    for place in PLACES:
        if os.access(f"{place}/{name}", os.X_OK):
            return f"{place}/{name}"
    raise AssertionError(f"{name} is not installed; run: tools/setup test")


class Postgres:
    def __init__(self):
        memory = pathlib.Path("/dev/shm")
        self.directory = pathlib.Path(tempfile.mkdtemp(
            prefix="xe-pg-", dir=memory if memory.is_dir() else None))
        self.identity = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.data = self.directory / "data"
        self.port = free_ports(1)[0]
        self.process = None
        self._run(_program("initdb"), "-D", str(self.data), "-U", "super", "-A", "trust",
                  "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
        (self.data / "pg_hba.conf").write_text(ACCESS)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                           f"unix_socket_directories = '{self.directory}'\n"
                           "shared_buffers = 16MB\nmax_connections = 40\nlc_messages = 'C'\n")
        self.start()
        self.sql(f"CREATE ROLE edge LOGIN PASSWORD '{PASSWORD}'", "postgres")
        self.sql("CREATE DATABASE edges OWNER edge", "postgres")

    def _run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self.identity)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @property
    def url(self):
        return f"postgresql://edge@127.0.0.1:{self.port}/edges"

    def sql(self, statement, database="edges"):
        return self._run(_program("psql"), "-h", str(self.directory), "-p", str(self.port),
                         "-U", "super", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atc", statement)

    def start(self):
        """A server that was killed leaves its memory to processes that end a moment later."""
        def answers():
            if self.process is None or self.process.poll() is not None:
                with open(self.directory / "log", "ab") as log:
                    self.process = subprocess.Popen(
                        [_program("postgres"), "-D", str(self.data)], stdout=log, stderr=log,
                        cwd="/", **self.identity)
            return subprocess.run([_program("pg_isready"), "-q", "-h", str(self.directory),
                                   "-p", str(self.port)], check=False).returncode == 0
        wait_for(answers, "PostgreSQL answers", 40, 0.1)

    def _all(self):
        return [processes.Process(self.process.pid), *processes.descendants(self.process.pid)]

    def kill(self):
        for process in self._all():
            process.kill()
        self.process.wait()
        self.process = None

    def pause(self):
        for process in self._all():
            process.send(signal.SIGSTOP)

    def resume(self):
        for process in self._all():
            process.send(signal.SIGCONT)

    def close(self):
        if self.process is not None:
            self.resume()
            self.kill()
        subprocess.run(["rm", "-rf", str(self.directory)], check=False)
