"""The harness itself: origins and clients straight to each other, without an edge."""
import socket
import subprocess

import grpc
import pytest

from harness import h1client, h2client, origin_git, pki, tokens, transport
from harness.edge import CLEAN
from harness.origin import Origin
from harness.origin_grpc import GrpcOrigin


def dial(origin, http="1.1", sni="api.example.test", ca=None):
    secured = transport.tls(transport.dial(f"{origin.address}:{origin.port}"), sni, ca,
                            ("h2",) if http == "2" else ("http/1.1",))
    return h2client.H2(secured) if http == "2" else h1client.H1(secured)


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_echo_shows_what_was_sent(origin, authority, http):
    client = dial(origin, http, ca=authority.certificate)
    answer = client.request("POST", "/echo?a=b", "api.example.test", [("x-one", "1")], b"hello")
    assert answer.status == 200
    assert answer.json["method"] == "POST" and answer.json["path"] == "/echo?a=b"
    assert ["x-one", "1"] in answer.json["headers"] and answer.json["body"] == "hello"
    assert client.request("GET", "/", "api.example.test").json["protocol"] == f"h{http[0]}"


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_streams_and_downloads_arrive_whole(origin, http):
    client = dial(origin, http)
    assert client.request("GET", "/sse?n=3", "x").body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert len(client.request("GET", "/download?bytes=300000", "x").body) == 300000


def test_accepts_and_requests_are_counted_apart(origin):
    accepts, requests = origin.accepts, len(origin.requests)
    socket.create_connection((origin.address, origin.port)).close()
    dial(origin).request("GET", "/", "x")
    assert origin.accepts == accepts + 2 and len(origin.requests) == requests + 1


def test_tls_travels_over_memory_as_over_a_socket(origin, authority):
    stream = transport.dial(f"{origin.address}:{origin.port}")

    class Bytes:
        sendall, recv, close = stream.sendall, stream.recv, stream.close
    secured = transport.BioTls(Bytes(), transport.context(authority.certificate), "x")
    assert h1client.H1(secured).request("GET", "/via", "x").json["path"] == "/via"


def test_faulty_certificates_are_faulty(tmp_path):
    ca = pki.Authority(tmp_path)
    for number, pair in enumerate([ca.expired("old", ["api.example.test"]),
                                   ca.issue("self", ["api.example.test"], self_signed=True)]):
        bad = Origin(pair, f"127.10.0.{40 + number}")
        with pytest.raises(OSError):
            dial(bad, ca=ca.certificate)
        bad.close()


def test_grpc_echoes(authority):
    server = GrpcOrigin(authority.issue("grpc", ["grpc.example.test"]))
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(f"{server.address}:{server.port}", credentials,
                             [("grpc.ssl_target_name_override", "grpc.example.test")]) as channel:
        assert channel.unary_unary("/test.Echo/Unary")(b"\x00hi", timeout=5) == b"\x00hi"
        assert list(channel.unary_stream("/test.Echo/Stream")(b"3", timeout=5)) == \
            [b"0", b"1", b"2"]
    server.close()


def test_git_clones_from_the_origin(authority, tmp_path):
    origin_git.make_repository(tmp_path / "root")
    server = Origin(authority.issue("git", ["127.10.0.1"]), repositories=tmp_path / "root")
    env = dict(CLEAN, GIT_SSL_CAINFO=str(authority.certificate), GIT_CONFIG_GLOBAL="/dev/null")
    subprocess.run(["git", "clone", "-q", f"https://{server.address}:{server.port}/git/hello.git",
                    str(tmp_path / "clone")], check=True, env=env, timeout=30)
    assert (tmp_path / "clone" / "README").read_text() == "hello from the origin\n"
    server.close()


def test_forged_tokens_differ_only_where_they_say(tmp_path):
    key = tokens.new_key()
    from cryptography.hazmat.primitives import serialization as s
    (tmp_path / "k1.pem").write_bytes(key.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    claims = {"iss": "e2e", "aud": "exeat", "sid": "s", "exp": 1}
    forge = tokens.Forge(tokens.sign(key, {"alg": "ES256", "kid": "k1"}, claims), tmp_path)
    import jwt
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    for token in (forge.good(sid="t"), forge.expired(), forge.not_yet()):
        jwt.decode(token, forge.public_pem(), ["ES256"], options, audience="exeat")
    for token in (forge.bad_signature(), forge.swapped_claims(sid="t"), forge.rs256(),
                  forge.none(), forge.hs256(forge.public_pem()),
                  forge.variant(key=tokens.new_key())):
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(token, forge.public_pem(), ["ES256"], options, audience="exeat")
