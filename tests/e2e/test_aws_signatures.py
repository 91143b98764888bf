"""aws_sigv4: requests leave with a signature that AWS's own code accepts, and never without."""
import pytest

from harness import guest, sigv4
from harness.edge import policy
from harness.poll import wait_for
from harness.world import assert_denied

BUCKET, API = "bucket.s3.example.test", "api.execute.example.test"
FIRST = ("AKIDFIRST0000000001", "first/aws+secret0000000000000000000000000")
SECOND = ("AKIDSECOND000000002", "second/aws+secret000000000000000000000000", "session+token/2==")


@pytest.fixture(scope="module")
def aws(bench):
    return bench.origin("aws", [BUCKET, API], address="127.10.0.3")


@pytest.fixture(scope="module")
def edge(bench, aws):
    put(bench, *FIRST)
    source = {"source": {"file": str(bench.directory / "aws")}}
    made = policy(bench.authority.certificate, dict.fromkeys((BUCKET, API), aws.address), [
        {"name": "bucket", "host": BUCKET, "ports": [aws.port], "credential": "s3"},
        {"name": "api", "host": API, "ports": [aws.port], "credential": "api",
         "authorize": "connection"}], [
        {"name": "s3", "kind": "aws_sigv4", "service": "s3", "region": "eu-west-1", **source},
        {"name": "api", "kind": "aws_sigv4", "service": "execute-api", "region": "us-east-2",
         **source}])
    return bench.edge(made)


def put(bench, key_id, secret, token=None):
    text = f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n"
    fresh = bench.directory / "aws.new"
    fresh.write_text(text + (f"aws_session_token = {token}\n" if token else ""))
    fresh.chmod(0o600)
    fresh.rename(bench.directory / "aws")


@pytest.fixture
def keys(bench, edge, aws):
    """The file behind both credentials, put back when the test is done."""
    yield bench.directory / "aws"
    put(bench, *FIRST)
    wait_for(lambda: signed_by(edge, aws) == FIRST[0], "the first keys are back", 10)


def ask(edge, aws, host=BUCKET, path="/", leg="connect", token=None, **options):
    return guest.get(edge, f"https://{host}:{aws.port}{path}", token or edge.token(), leg,
                     **options)


def signed_by(edge, aws):
    """Whose signature the origin saw, or None when the request was refused."""
    if ask(edge, aws).status != 200:
        return None
    return (sigv4.scope(aws.requests[-1]) or [None])[0]


PATHS = ["/", "/key", "/a%20b/c%2Bd", "/deep/er/key.txt?list-type=2&prefix=a%2Fb&empty",
         "/x?b=2&a=1&a=0", "/tilde~and-dots..txt", "/%E2%82%AC?q=%E2%82%AC%20x"]


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("host", [BUCKET, API])
def test_each_request_is_signed_as_it_leaves(edge, aws, leg, http, host):
    scope = ("eu-west-1", "s3") if host == BUCKET else ("us-east-2", "execute-api")
    for path in PATHS:
        for method, body in (("GET", b""), ("PUT", b"some bytes \x00\xff")):
            answer = ask(edge, aws, host, path, leg, http=http, method=method, body=body)
            assert answer.status == 200, (path, answer)
            request = aws.requests[-1]
            assert sigv4.scope(request) == (FIRST[0], *scope)
            assert sigv4.objection(request, FIRST[1]) is None, path
            assert "another signature" in sigv4.objection(request, FIRST[1] + "x")


def test_what_the_guest_signed_or_claimed_is_gone(edge, aws):
    forged = [("authorization", "AWS4-HMAC-SHA256 Credential=GUEST/20200101/a/s3/aws4_request, "
                                "SignedHeaders=host, Signature=" + "0" * 64),
              ("x-amz-date", "20200101T000000Z"), ("x-amz-security-token", "guest"),
              ("x-amz-content-sha256", "0" * 64), ("user-agent", "aws-sdk/1")]
    for host in (BUCKET, API):
        assert ask(edge, aws, host, headers=forged, method="PUT", body=b"x").status == 200
        request = aws.requests[-1]
        assert sigv4.objection(request, FIRST[1]) is None
        for name in ("authorization", "x-amz-date", "x-amz-content-sha256"):
            assert len([k for k, _ in request.headers if k.lower() == name]) == 1
        assert "guest" not in str(request.headers).lower()


def test_a_chunked_body_is_signed_or_streamed(edge, aws):
    """As its service takes it: a guest's framing is not part of what is signed."""
    for host in (BUCKET, API):
        client, _ = guest.open_client(edge, f"https://{host}:{aws.port}/", edge.token())
        client.send("POST", "/chunked", f"{host}:{aws.port}", [("Transfer-Encoding", "chunked")])
        client.stream.sendall(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert client.receive("POST").status == 200
        assert aws.requests[-1].body == b"hello world"
        assert sigv4.objection(aws.requests[-1], FIRST[1]) is None
        client.close()


def test_a_long_body_streams_to_s3_and_is_refused_elsewhere(edge, aws):
    body = b"x" * 9_000_000
    assert ask(edge, aws, BUCKET, method="PUT", body=body).status == 200
    assert len(aws.requests[-1].body) == len(body)
    assert sigv4.objection(aws.requests[-1], FIRST[1]) is None
    assert ask(edge, aws, API, method="PUT", body=body[:8_000_000]).status == 200
    assert sigv4.objection(aws.requests[-1], FIRST[1]) is None
    before = len(aws.requests)
    answer = ask(edge, aws, API, method="PUT", body=body)
    assert_denied(answer, 400, "request_malformed")
    assert len(aws.requests) == before


def test_new_keys_sign_without_a_restart(edge, bench, aws, keys):
    pids = {role: p.pid for role, p in edge.roles().items()}
    put(bench, *SECOND)
    wait_for(lambda: signed_by(edge, aws) == SECOND[0], "the new keys sign", 10)
    for host in (BUCKET, API):
        assert ask(edge, aws, host, method="PUT", body=b"x").status == 200
        assert sigv4.objection(aws.requests[-1], SECOND[1], SECOND[2]) is None
    put(bench, *FIRST)
    wait_for(lambda: signed_by(edge, aws) == FIRST[0], "the long-lived keys sign", 10)
    assert sigv4.objection(aws.requests[-1], FIRST[1]) is None
    assert {role: p.pid for role, p in edge.roles().items()} == pids


@pytest.mark.parametrize("text", ["", "AKID:secret\n", "aws_access_key_id = AKID\n",
                                  "aws_access_key_id = A\naws_secret_access_key = \n"])
def test_without_keys_nothing_is_sent(edge, aws, keys, text):
    """Not even unsigned, and not in a tunnel in which Check is not asked."""
    token = edge.token()
    vetted, _ = guest.open_client(edge, f"https://{API}:{aws.port}/", token)
    get = lambda: vetted.request("GET", "/vetted", f"{API}:{aws.port}")  # noqa: E731
    assert get().status == 200
    keys.write_text(text)
    wait_for(lambda: ask(edge, aws, token=token).status != 200, "it is noticed", 10)
    wait_for(lambda: get().status != 200, "it is in force in Envoy", 10)
    before = len(aws.requests)
    for host in (BUCKET, API):
        for leg in ("connect", "transparent"):
            assert_denied(ask(edge, aws, host, leg=leg, token=token), 503,
                          "credential_unavailable")
    assert_denied(get(), 503, "credential_unavailable")
    assert len(aws.requests) == before
    vetted.close()
