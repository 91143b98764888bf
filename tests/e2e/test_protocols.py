"""WebSocket, HTTP/2, streams and gRPC through the bump, on both legs."""
import concurrent.futures
import threading

import grpc
import pytest

from harness import guest, transport
from harness.h2client import StreamReset
from harness.origin_grpc import GrpcOrigin
from harness.poll import wait_for
from harness.streams import BREAKS, LEGS
from harness.websocket import WebSocket
from harness.world import SECRETS, settings, url

GRPC_HOST = "grpc.example.test"


@pytest.fixture(scope="module")
def grpc_origin(bench, authority):
    made = GrpcOrigin(authority.issue("grpc", [GRPC_HOST]))
    bench.closers.append(made.close)
    return made


@pytest.fixture(scope="module")
def edge(bench, origin, grpc_origin):
    bench.count_requests = False  # gRPC calls are counted by their own origin
    wanted = settings(bench, origin)
    wanted["destinations"].append({"name": "grpc", "host": GRPC_HOST,
                                   "ports": [grpc_origin.port], "grant": "grpc"})
    wanted["resolver"]["hosts"][GRPC_HOST] = [grpc_origin.address]
    return bench.edge(wanted)


def open_on(edge, origin, leg, token, http="1.1"):
    """(client, authority, headers) for a warm connection."""
    client, refused = guest.open_client(edge, url(origin), token if leg == "connect" else None,
                                        leg, http)
    assert refused is None, refused
    headers = [] if leg == "connect" else [("x-exeat-session", token)]
    return client, f"api.example.test:{origin.port}", headers


@pytest.mark.parametrize("leg", LEGS)
def test_websocket_echoes_and_carries_the_credential(edge, origin, leg):
    client, host, headers = open_on(edge, origin, leg, edge.token())
    websocket = WebSocket(client, "/ws/echo", host, headers)
    assert websocket.opened, websocket.response
    for number in range(20):
        assert websocket.echo(f"frame {number}") == f"frame {number}"
    seen = origin.seen("/ws/echo")[-1]
    assert seen.header("x-api-key") == SECRETS["api"]
    assert seen.header("x-exeat-session") is None
    websocket.close()


@pytest.mark.parametrize("leg", LEGS)
def test_websocket_without_a_session_is_refused(edge, origin, leg):
    session = edge.session()
    client, host, headers = open_on(edge, origin, leg, session["token"])
    edge.revoke(session["sid"])
    if leg == "connect":  # its tunnel was open and has been cut
        with pytest.raises(BREAKS):
            WebSocket(client, "/ws/refused", host, headers)
    else:
        refused = WebSocket(client, "/ws/refused", host, headers).response
        assert refused.status == 403 and refused.reason == "session_revoked"
    assert origin.seen("/ws/refused") == []
    client.close()


def test_bytes_sent_before_the_101_are_not_forwarded_unauthorised(edge, origin):
    session = edge.session()
    client, host, headers = open_on(edge, origin, "transparent", session["token"])
    edge.revoke(session["sid"])
    before = len(origin.requests)
    client.send("GET", "/ws/early", host, [
        ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="), *headers])
    client.stream.sendall(f"GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert client.receive().status == 403
    client.close()
    assert len(origin.requests) == before


@pytest.mark.parametrize("leg", LEGS)
def test_h2_carries_many_streams_at_once(edge, origin, leg):
    client, host, headers = open_on(edge, origin, leg, edge.token(), "2")
    streams = [client.start("POST", f"/many/{n}", host, headers, b"body %d" % n)
               for n in range(40)]
    for number, stream_id in enumerate(streams):
        answer = client.finish(stream_id)
        assert answer.status == 200, answer
        assert answer.json["path"] == f"/many/{number}"
        assert answer.json["body"] == f"body {number}"
    client.close()


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", LEGS)
def test_server_sent_events_arrive_as_they_are_sent(edge, origin, leg, http):
    client, host, headers = open_on(edge, origin, leg, edge.token(), http)
    if http == "2":
        stream_id = client.start("GET", "/sse", host, headers)
        assert client.head(stream_id).status == 200
        received = b""
        while b"data: 3" not in received:
            received += client.read(stream_id)
    else:
        client.send("GET", "/sse", host, headers)
        reply = client.receive_head()
        assert reply.status == 200 and reply.readline() == b"data: 0\n"
    client.close()
    wait_for(lambda: origin.open_streams == 0, "the origin's stream ends with the guest's")


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", LEGS)
def test_long_download_arrives_whole(edge, origin, leg, http):
    answer = guest.get(edge, url(origin, "/download?bytes=5000000"), edge.token(), leg, http)
    assert answer.status == 200 and len(answer.body) == 5000000


@pytest.mark.parametrize("leg", LEGS)
def test_large_upload_arrives_whole(edge, origin, leg):
    body = b"u" * 3000000
    answer = guest.get(edge, url(origin, "/upload"), edge.token(), leg, method="PUT", body=body)
    assert answer.status == 200 and origin.requests[-1].body == body


@pytest.mark.parametrize("field,value", [
    ("transfer-encoding", "chunked"), ("connection", "close"), ("upgrade", "websocket"),
    ("x", "a\r\nhost: b"), ("x", "a\x00b"), ("te", "gzip"), ("content-length", "99"),
    ("", "empty name"), ("Upper", "case"), (":path", "/second")])
def test_malformed_h2_is_reset_or_refused(edge, origin, field, value):
    from harness import h2client
    token = edge.token()
    stream, _ = guest.tunnel(edge, f"api.example.test:{origin.port}", token)
    secured = transport.tls(stream, "api.example.test", edge.ca, ("h2",))
    client = h2client.H2(secured, validate=False)
    before = len(origin.requests)
    try:
        answer = client.request("GET", "/h2odd", f"api.example.test:{origin.port}",
                                [(field, value)])
        assert 400 <= answer.status < 500, answer
    except (StreamReset, OSError):
        pass
    client.close()
    assert len(origin.requests) == before


# -- gRPC ----------------------------------------------------------------------------------------

class Relay:
    """A plain port that grpcio can dial; each connection goes to the edge on one leg."""

    def __init__(self, edge, leg, target, token):
        import socket
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._make = (lambda: guest.tunnel(edge, target, token)[0]) if leg == "connect" else \
            (lambda: transport.dial(edge.transparent))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = self._make()
            if far is None:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        try:
            while part := source.recv(65536):
                sink.sendall(part)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(2)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class Channel:
    def __init__(self, edge, grpc_origin, leg, token):
        self.relay = Relay(edge, leg, f"{GRPC_HOST}:{grpc_origin.port}", token)
        credentials = grpc.ssl_channel_credentials(edge.ca.encode())
        self.channel = grpc.secure_channel(
            f"127.0.0.1:{self.relay.port}", credentials,
            [("grpc.ssl_target_name_override", GRPC_HOST),
             ("grpc.default_authority", f"{GRPC_HOST}:{grpc_origin.port}"),
             ("grpc.enable_http_proxy", 0)])
        self.metadata = [] if leg == "connect" else [("x-exeat-session", token)]

    def unary(self, payload, **more):
        return self.channel.unary_unary("/test.Echo/Unary").with_call(
            payload, metadata=self.metadata, timeout=10, **more)

    def stream(self, count):
        return list(self.channel.unary_stream("/test.Echo/Stream")(
            b"%d" % count, metadata=self.metadata, timeout=10))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.relay.close()


@pytest.mark.parametrize("leg", LEGS)
def test_grpc_unary_and_stream(edge, grpc_origin, leg):
    with Channel(edge, grpc_origin, leg, edge.token("grpc")) as channel:
        for number in range(5):
            payload = bytes([0, number]) * 1000
            reply, call = channel.unary(payload)
            assert reply == payload
            assert dict(call.trailing_metadata())["x-trailer"] == "kept"
        assert channel.stream(50) == [b"%d" % n for n in range(50)]
    assert all("x-exeat-session" not in metadata for _, metadata in grpc_origin.calls)


@pytest.mark.parametrize("leg", LEGS)
def test_grpc_in_parallel(edge, grpc_origin, leg):
    with Channel(edge, grpc_origin, leg, edge.token("grpc")) as channel:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            payloads = [b"%d" % n for n in range(60)]
            assert [r for r, _ in pool.map(channel.unary, payloads)] == payloads


def test_grpc_denial_is_a_grpc_status_with_the_reason(edge, grpc_origin):
    before = len(grpc_origin.calls)
    with Channel(edge, grpc_origin, "transparent", edge.token()) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary(b"x")
    error = refused.value
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED
    told = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
    assert told.get("x-deny-reason") == "grant_missing"
    with Channel(edge, grpc_origin, "transparent", "forged") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary(b"x")
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert len(grpc_origin.calls) == before
