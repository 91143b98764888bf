"""Open streams of every kind, one on each connection, and how each of them ends."""
import contextlib
import http.client
import pathlib
import socket
import struct
import threading

import h2.settings

from . import guest, h2client, transport
from .poll import wait_for
from .websocket import WebSocket

LEGS = ["connect", "transparent"]
ENDLESS = 1 << 40
# What a guest sees when a stream breaks; an orderly end is none of them.
BREAKS = (OSError, h2client.StreamReset, http.client.IncompleteRead)
TCP_CLOSED = 7  # tcp(7) and the kernel's tcp_states.h
PACE_S = 0.005


class Completed(Exception):
    """The stream came to an orderly end, as if it had been whole."""


class Stream:
    """`step` carries one more piece and raises when the stream has broken. With `pump` a thread
    takes steps as long as it can."""

    def __init__(self, client, step, pump=True):
        self.client, self._step = client, step
        self.socket = client.stream if hasattr(client, "stream") else client
        self.moved = 0
        self.problem = None
        self._thread = threading.Thread(target=self._run, daemon=True) if pump else None
        if pump:
            self._thread.start()

    def _run(self):
        try:
            while True:
                self._step()
                self.moved += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.problem = error

    @property
    def reset(self):
        """Whether the guest's own kernel has seen its connection end, read or not."""
        state = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == TCP_CLOSED

    def lives(self):
        """Something goes through it now."""
        if self._thread is None:
            self._step()
        else:
            before = self.moved
            wait_for(lambda: self.problem or self.moved > before + 1, "the stream moves on", 5)
            assert self.problem is None, repr(self.problem)
        return True

    def broken(self, within_s=5):
        """Waits for the guest's program to see the end, and says whether it looks broken."""
        if self._thread is None:
            self._run()
        else:
            self._thread.join(within_s)
        assert self.problem is not None, "the guest sees no end"
        return isinstance(self.problem, BREAKS) and not isinstance(self.problem, TimeoutError)

    def close(self):
        self.client.close()
        if self._thread is not None:
            self._thread.join(5)


def _web_socket(pump):
    def made(client, host, headers):
        opened = WebSocket(client, "/ws", host, headers)
        assert opened.opened, opened.response
        return Stream(client, lambda: opened.echo("tick"), pump)
    return made


def _reading(path, method="GET", headers=(), body=b""):
    def over_h1(client, host, own):
        client.send(method, path, host, own)
        reply = client.receive_head()
        assert reply.status == 200, reply.status

        def step():
            if not reply.read1(65536):
                raise Completed(path)
        return Stream(client, step)

    def over_h2(client, host, own):
        stream_id = client.start(method, path, host, [*headers, *own], body)
        answer = client.head(stream_id)
        assert answer.status == 200, answer

        def step():
            if not client.read(stream_id):
                if client.reset_of(stream_id) is None:
                    raise Completed(path)
                raise h2client.StreamReset(client.reset_of(stream_id))
        return Stream(client, step)
    return lambda client, *more: (
        over_h2 if isinstance(client, h2client.H2) else over_h1)(client, *more)


def _upload(client, host, headers):
    client.send("PUT", UPLOAD, host, [("transfer-encoding", "chunked"), *headers])
    pace = threading.Event()

    def step():
        client.stream.sendall(b"1000\r\n" + b"u" * 4096 + b"\r\n")
        pace.wait(PACE_S)
    return Stream(client, step)


UPLOAD = "/upload/endless"
GRPC_CALL = b"%d %s" % (ENDLESS, b"0.002")
# kind: (HTTP version inside, how it is opened)
KINDS = {
    "websocket-idle": ("1.1", _web_socket(pump=False)),
    "websocket-busy": ("1.1", _web_socket(pump=True)),
    "download-h1": ("1.1", _reading(f"/download?bytes={ENDLESS}&pause=0.002")),
    "download-h2": ("2", _reading(f"/download?bytes={ENDLESS}&pause=0.002")),
    "sse": ("1.1", _reading("/sse")),
    "upload": ("1.1", _upload),
    "grpc": ("2", _reading("/test.Echo/Stream", "POST",
                           [("content-type", "application/grpc"), ("te", "trailers")],
                           struct.pack(">BI", 0, len(GRPC_CALL)) + GRPC_CALL)),
}


def connection(edge, url, leg, token, http="1.1", **options):
    """(client, headers): a warm connection on that leg and what its requests carry."""
    at_connect = token if leg == "connect" else None
    client, refused = guest.open_client(edge, url, at_connect, leg, http, **options)
    assert refused is None, refused
    return client, [] if leg == "connect" else [("x-exeat-session", token)]


def start(kind, edge, url, leg, token):
    """A stream of that kind to the origin that `url` names, seen to carry something."""
    host, port, _ = guest.split(url)
    http_version, opened = KINDS[kind]
    client, headers = connection(edge, url, leg, token, http_version)
    made = opened(client, f"{host}:{port}", headers)
    assert made.lives()
    return made


def bare_tunnel(edge, url, token):
    """A CONNECT that was answered, with no byte inside."""
    host, port, _ = guest.split(url)
    stream, answer = guest.tunnel(edge, f"{host}:{port}", token)
    assert stream is not None, answer

    def step():
        if not stream.recv(1):
            raise Completed("tunnel")
    return Stream(stream, step, pump=False)


def ended_requests(edge, sid):
    """How many requests of a session the edge knows to have ended; tunnels are not among them."""
    return len([r for r in edge.audit(sid=sid, phase="outcome") if r.is_request])


def queued_for(local, peer):
    """Bytes that the edge's kernel holds for this guest's connection, acknowledged or not."""
    def shown(end):
        return f"{struct.unpack('=I', socket.inet_aton(end[0]))[0]:08X}:{end[1]:04X}"
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [shown(peer), shown(local)]:
            return int(fields[4].split(":")[0], 16)
    return 0


def slow_reader(edge, origin, leg, token, kind="kept", size=ENDLESS, port=0):
    """A download whose reader has not begun, with megabytes for it in the edge's kernel; `port` is
    the guest's own."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    small.bind(("127.0.0.1", port))
    host, _, edge_port = (edge.proxy if leg == "connect" else edge.transparent).rpartition(":")
    small.settimeout(transport.TIMEOUT_S)
    small.connect((host, int(edge_port)))
    target, path = f"api.example.test:{origin.port}", f"/download?bytes={size}"
    own = [("x-exeat-session", token)]
    if leg == "connect":
        small.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: "
                      f"{guest.basic(token)}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += small.recv(1)
        assert b" 200 " in head
        own = []
    client = guest.speak(edge, small, "api.example.test", "2" if kind == "h2" else "1.1")
    if kind == "h2":  # windows that let everything come at once
        client.connection.increment_flow_control_window(1 << 24)
        client.connection.update_settings(
            {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 24})
        client.start("GET", path, target, own)
    else:
        closing = [("connection", "close")] if kind == "closed" else []
        client.send("GET", path, target, [*own, *closing])
    return client.stream


# How the connection goes on after an answer, HTTP/1.1 either way, or HTTP/2.
ANSWERS = [(kind, leg) for kind in ("kept", "closed", "h2") for leg in LEGS]
ANSWER_BYTES = 5 << 18
DRAINED_AT_MOST = 1 << 19  # what fits into the guest's own buffer, generously


class Unread:
    def __init__(self, reader):
        self._reader = reader
        self._ends = reader.getsockname(), reader.getpeername()

    def queued(self):
        return queued_for(*self._ends)

    def read(self):
        return len(transport.read_until_closed(self._reader))

    def assert_lost(self):
        assert self.queued() == 0
        assert self.read() <= DRAINED_AT_MOST

    def assert_whole(self):
        self._reader.settimeout(1)
        assert self.read() >= ANSWER_BYTES


@contextlib.contextmanager
def unread_answer(edge, origin, leg, session, kind):
    """An answer that has ended for the edge, and of which the guest has read nothing."""
    reader = slow_reader(edge, origin, leg, session["token"], kind, ANSWER_BYTES)
    unread = Unread(reader)
    wait_for(lambda: ended_requests(edge, session["sid"]) == 1, "its end is told")
    assert unread.queued() > DRAINED_AT_MOST
    yield unread
    reader.close()
