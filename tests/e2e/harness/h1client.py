"""HTTP/1.1 over any byte stream, exact about what it sends."""
import dataclasses
import http.client
import json as json_module

from . import transport


@dataclasses.dataclass
class Response:
    status: int
    headers: list  # (lower-case name, value), repeated names stay apart
    body: bytes = b""
    at_connect: bool = False  # the answer came from the proxy itself, no tunnel was opened

    def header(self, name):
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def reason(self):
        return self.header("x-deny-reason")

    @property
    def json(self):
        return json_module.loads(self.body)


class H1:
    """One HTTP/1.1 connection; requests go one after the other."""

    def __init__(self, stream):
        self.stream = stream

    def send(self, method, path, host, headers=(), body=b"", version="1.1"):
        lines = [f"{method} {path} HTTP/{version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.stream.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def receive_head(self, method="GET"):
        """The open http.client response; read its body yourself."""
        reply = http.client.HTTPResponse(self.stream, method=method)
        reply.begin()
        return reply

    def receive(self, method="GET"):
        reply = self.receive_head(method)
        return Response(reply.status, [(k.lower(), v) for k, v in reply.getheaders()],
                        reply.read())

    def request(self, method, path, host, headers=(), body=b""):
        self.send(method, path, host, headers, body)
        return self.receive(method)

    def close(self):
        transport.hang_up(self.stream)


def raw(stream, payload, method="GET"):
    """Sends exact bytes and returns the parsed answer, or None when the peer just closed."""
    stream.sendall(payload)
    try:
        return H1(stream).receive(method)
    except (http.client.HTTPException, ConnectionError, OSError):
        return None


def connect(address, target, proxy_authorization=(), version="1.1", headers=(), source=None):
    """CONNECT on a fresh connection: (socket, Response). Each value of `proxy_authorization`
    becomes a header of its own, so duplicates can be sent."""
    connection = transport.dial(address, source)
    lines = [f"CONNECT {target} HTTP/{version}", f"Host: {target}"]
    lines += [f"Proxy-Authorization: {value}" for value in proxy_authorization]
    lines += [f"{name}: {value}" for name, value in headers]
    connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
    # Unbuffered: bytes after the head belong to the tunnel.
    head = b""
    while b"\r\n\r\n" not in head:
        byte = connection.recv(1)
        if not byte:
            raise ConnectionResetError(f"closed in the answer to CONNECT {target}: {head!r}")
        head += byte
    lines = head.decode("latin-1").split("\r\n")
    answer_headers = [(k.strip().lower(), v.strip()) for k, _, v in
                      (line.partition(":") for line in lines[1:] if line)]
    response = Response(int(lines[0].split(" ")[1]), answer_headers, at_connect=True)
    if response.status != 200:
        length = int(response.header("content-length") or 0)
        response.body = transport.recv_exactly(connection, length)
    return connection, response
