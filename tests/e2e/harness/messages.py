"""A request as an origin saw it, and what it answers."""
import dataclasses
import urllib.parse


@dataclasses.dataclass
class Request:
    method: str
    path: str
    authority: str
    headers: list
    body: bytes
    protocol: str
    connection: int
    peer: tuple = ()
    trailers: list = dataclasses.field(default_factory=list)  # HTTP/2 alone

    def header(self, name):
        """The values of a header joined as on the wire, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    def query(self, name, default=None):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        return query.get(name, [default])[0]


@dataclasses.dataclass
class Reply:
    status: int = 200
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)  # HTTP/2 alone
    chunks: object = None  # an async generator: the body is streamed
