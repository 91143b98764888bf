"""HTTP/2 over any byte stream, on python3-h2, one stream at a time or many."""
import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .h1client import Response
from .transport import dial, hang_up


class StreamReset(Exception):
    """The peer reset the stream or the connection."""


class _State:
    def __init__(self):
        self.headers = None
        self.trailers = []
        self.body = b""
        self.ended = False
        self.reset = None


class H2:
    def __init__(self, stream, validate=True):
        self.stream = stream
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="latin-1",
            validate_outbound_headers=validate, normalize_outbound_headers=validate))
        self.connection.initiate_connection()
        self._states = {}
        self._flush()

    def _flush(self):
        pending = self.connection.data_to_send()
        if pending:
            self.stream.sendall(pending)

    def start(self, method, path, authority, headers=(), body=b"", end=True, scheme="https"):
        stream_id = self.connection.get_next_available_stream_id()
        self._states[stream_id] = _State()
        fields = [(":method", method), (":authority", authority)]
        if method != "CONNECT":
            fields += [(":scheme", scheme), (":path", path)]
        self.connection.send_headers(stream_id, fields + list(headers),
                                     end_stream=end and not body)
        if body:
            self.connection.send_data(stream_id, body, end_stream=end)
        self._flush()
        return stream_id

    def send(self, stream_id, payload, end=False):
        while payload:
            room = min(self.connection.local_flow_control_window(stream_id), 16384)
            if room <= 0:
                self._pump()
                continue
            self.connection.send_data(stream_id, payload[:room])
            payload = payload[room:]
        if end:
            self.connection.end_stream(stream_id)
        self._flush()

    def trailers(self, stream_id, fields):
        """Ends a stream that was started with end=False."""
        self.connection.send_headers(stream_id, fields, end_stream=True)
        self._flush()

    def _pump(self):
        """Reads once and files the events by stream."""
        received = self.stream.recv(65536)
        if not received:
            for state in self._states.values():
                state.reset = state.reset or (None if state.ended else "connection closed")
            return
        for event in self.connection.receive_data(received):
            state = self._states.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ConnectionTerminated):
                for other in self._states.values():
                    if not other.ended and event.last_stream_id == 0:
                        other.reset = f"goaway {event.error_code}"
            if state is None:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                state.headers = list(event.headers)
            elif isinstance(event, h2.events.TrailersReceived):
                state.trailers = list(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                state.body += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length,
                                                          event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                state.reset = f"reset {event.error_code}"
            if isinstance(event, h2.events.StreamEnded):
                state.ended = True
        self._flush()

    def _wait(self, stream_id, done):
        state = self._states[stream_id]
        while not done(state):
            if state.reset is not None:
                raise StreamReset(state.reset)
            self._pump()
        return state

    def head(self, stream_id):
        state = self._wait(stream_id, lambda s: s.headers is not None)
        return self._response(state)

    def finish(self, stream_id):
        state = self._wait(stream_id, lambda s: s.ended)
        return self._response(state)

    @staticmethod
    def _response(state):
        fields = dict(state.headers)
        return Response(int(fields[":status"]),
                        [(k, v) for k, v in state.headers + state.trailers
                         if not k.startswith(":")], state.body)

    def received_trailers(self, stream_id):
        return list(self._states[stream_id].trailers)

    def reset_of(self, stream_id):
        """Why a stream was reset, None while it was not."""
        return self._states[stream_id].reset

    def read(self, stream_id):
        """The next bytes of a stream's body, b"" at its end."""
        state = self._states[stream_id]
        while not state.body and not state.ended and state.reset is None:
            self._pump()
        taken, state.body = state.body, b""
        return taken

    def request(self, method, path, authority, headers=(), body=b""):
        return self.finish(self.start(method, path, authority, headers, body))

    def close(self):
        hang_up(self.stream)


class H2Tunnel:
    """One CONNECT stream as a byte stream."""

    def __init__(self, connection, stream_id):
        self.connection, self.stream_id = connection, stream_id

    def sendall(self, payload):
        self.connection.send(self.stream_id, bytes(payload))

    def recv(self, size):
        received = self.connection.read(self.stream_id)
        if len(received) > size:
            state = self.connection._states[self.stream_id]
            state.body = received[size:] + state.body
            received = received[:size]
        return received

    def close(self):
        self.connection.close()


def proxy_connection(address, source=None):
    """To the proxy in cleartext HTTP/2. Unvalidated: python3-h2 knows no CONNECT and would insist
    on :path."""
    return H2(dial(address, source), validate=False)


def open_tunnel(connection, target, proxy_authorization=()):
    """CONNECT as an HTTP/2 stream: (H2Tunnel or None, Response)."""
    headers = [("proxy-authorization", value) for value in proxy_authorization]
    stream_id = connection.start("CONNECT", "", target, headers, end=False)
    response = connection.head(stream_id)
    response.at_connect = True
    if response.status != 200:
        response = connection.finish(stream_id)
        response.at_connect = True
        return None, response
    return H2Tunnel(connection, stream_id), response
