"""Origins that misbehave: their connection is dropped, no other session sees their bytes."""
import socket
import ssl
import threading

import pytest

from harness import guest
from harness.edge import policy
from harness.origin import Origin

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BEHAVIOURS = {
    "extra": OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    "split": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"
             b"0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    "storm": b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + OK,
    "chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\npoison\r\n0\r\n\r\n",
    "bomb": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"p" * 900)
                                             for n in range(2000)) + b"\r\n",
    "garbage": b"\x00\x01\x02 not http at all\r\n\r\n",
    "short": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npoison",
    "version": b"HTTP/7.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "status": b"HTTP/1.1 99999 OK\r\ncontent-length: 2\r\n\r\nok",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\npoison",
    "lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 6\r\n\r\npoison",
    "header": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 2\r\n\r\nok",
    "nothing": b"",
}


class Raw:
    """A TLS origin that answers the first request of every connection with these bytes, then
    closes."""

    def __init__(self, certificate, payload):
        self.payload = payload
        self.heads = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*map(str, certificate))
        self._context.set_alpn_protocols(["http/1.1"])
        self._listener = socket.create_server(("127.10.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self._context.wrap_socket(connection, server_side=True) as secured:
                secured.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head:
                    part = secured.recv(65536)
                    if not part:
                        return
                    head += part
                self.heads.append(head)
                secured.sendall(self.payload)
        except OSError:
            pass

    def close(self):
        self._listener.close()


@pytest.fixture(scope="module")
def origins(bench, authority):
    bench.count_requests = False  # an origin that breaks off is counted by neither side alike
    made = {name: Raw(authority.issue(name, [f"{name}.example.test"]), payload)
            for name, payload in BEHAVIOURS.items()}
    bench.closers += [origin.close for origin in made.values()]
    made["good"] = Origin(authority.issue("good", ["good.example.test"]))
    bench.origins.append(made["good"])
    return made


@pytest.fixture(scope="module")
def edge(bench, authority, origins):
    hosts = {f"{name}.example.test": "127.10.0.1" for name in origins}
    return bench.edge(policy(authority.certificate, hosts, [
        {"name": name, "host": f"{name}.example.test", "ports": [origin.port]}
        for name, origin in origins.items()]))


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_no_session_sees_what_another_was_sent(edge, origins, name, leg):
    host = f"{name}.example.test"
    target = f"https://{host}:{origins[name].port}/"
    envoy = edge.roles()["envoy"].pid
    for token in (edge.token(), edge.token()):
        try:
            answer = guest.get(edge, target, token, leg)
        except Exception:  # noqa: BLE001 - a broken body ends the guest's stream
            continue
        if answer.status == 200:
            assert answer.body == b"ok", answer
        elif answer.status != 101:  # Envoy hands an unasked 101 on, without a byte behind it
            assert answer.status in (502, 503, 504) and answer.reason.startswith("upstream_"), \
                answer
        assert b"poison" not in answer.body
    assert edge.roles()["envoy"].pid == envoy, "Envoy died of it"
    good = guest.get(edge, f"https://good.example.test:{origins['good'].port}/", edge.token(),
                     leg)
    assert good.status == 200
