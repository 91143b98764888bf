"""A WebSocket client over any HTTP/1.1 stream."""
import base64
import os

from .h1client import Response
from .transport import recv_exactly


class WebSocket:
    """Upgrades on an H1 client; `response` is the answer when it was not 101."""

    def __init__(self, client, path, host, headers=()):
        self.stream = client.stream
        key = base64.b64encode(os.urandom(16)).decode()
        client.send("GET", path, host, [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                        ("Sec-WebSocket-Key", key),
                                        ("Sec-WebSocket-Version", "13"), *headers])
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += recv_exactly(self.stream, 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = [(k.strip().lower(), v.strip()) for k, _, v in
                  (line.partition(":") for line in lines[1:] if line)]
        self.response = Response(int(lines[0].split(" ")[1]), fields)
        if self.response.status != 101:
            length = int(self.response.header("content-length") or 0)
            self.response.body = recv_exactly(self.stream, length)

    @property
    def opened(self):
        return self.response.status == 101

    def echo(self, text):
        """Sends a text frame and returns what came back."""
        payload, mask = text.encode(), os.urandom(4)
        assert len(payload) < 126
        self.stream.sendall(bytes([0x81, 0x80 | len(payload)]) + mask +
                            bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
        head = recv_exactly(self.stream, 2)
        return recv_exactly(self.stream, head[1] & 0x7F).decode()

    def alive(self):
        try:
            return self.echo("ping") == "ping"
        except OSError:
            return False

    def close(self):
        self.stream.close()
