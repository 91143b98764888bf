"""Headers: what a guest forges is powerless and stays here, what an origin sends is cleaned."""
import pytest

from harness import guest, h1client
from harness.poll import wait_for
from harness.websocket import WebSocket
from harness.origin import CREDENTIAL_HEADERS
from harness.world import SECRETS, assert_denied, assert_no_secret, settings, url

LEGS = ["connect", "transparent"]
FORGED = [
    ("x-exeat-leg", "transparent"), ("x-exeat-tunnel", "Bearer x"),
    ("x-exeat-target", "api.example.test:1"), ("x-exeat-sni", "api.example.test"),
    ("x-exeat-sid", "other"), ("x-exeat-sub", "root"), ("x-exeat-anything", "else"),
]
ENVOY = [
    ("x-envoy-original-path", "/admin"), ("x-envoy-retry-on", "5xx"), ("x-envoy-internal", "true"),
    ("x-envoy-max-retries", "9"), ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-force-trace", "1"), ("x-envoy-external-address", "8.8.8.8"),
    ("x-envoy-upstream-alt-stat-name", "x"), ("x-envoy-expected-rq-timeout-ms", "1"),
    ("x-envoy-hedge-on-per-try-timeout", "true"), ("x-envoy-decorator-operation", "x"),
    ("x-envoy-ip-tags", "x"), ("x-envoy-original-dst-host", "127.0.0.1:22"),
]
FORWARDED = [
    ("x-forwarded-for", "8.8.8.8"), ("x-forwarded-host", "evil.test"),
    ("x-forwarded-proto", "http"), ("x-forwarded-port", "1"), ("forwarded", "for=8.8.8.8"),
    ("x-real-ip", "8.8.8.8"), ("via", "1.1 guest"), ("x-forwarded-client-cert", "By=x"),
]
KEYS = [("cookie", "session=guest"), *((name, "guest") for name in (
    "private-token", "job-token", "deploy-token", "x-auth-token", "x-access-token", "api-key",
    "x-goog-api-key", "x-goog-iam-authorization-token", "x-amz-security-token",
    "ocp-apim-subscription-key", "x-functions-key"))]
OVERRIDES = [("x-http-method-override", "DELETE"), ("x-http-method", "DELETE"),
             ("x-method-override", "DELETE"), ("x-original-url", "/admin"),
             ("x-rewrite-url", "/admin")]
TOKENS = [("proxy-authorization", "Basic dTpw"), ("x-exeat-session-id", "x")]


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("group", [FORGED, ENVOY, FORWARDED, KEYS, OVERRIDES, TOKENS],
                         ids=["forged", "envoy", "forwarded", "keys", "overrides", "tokens"])
def test_forged_headers_are_powerless_and_not_forwarded(edge, origin, leg, http, group):
    session = edge.session()
    path = f"/headers/{leg}/{http}/{group[0][0]}"
    answer = guest.get(edge, url(origin, path), session["token"], leg, http, headers=group)
    assert answer.status == 200, answer
    seen = origin.requests[-1]
    assert seen.path == path
    for name, _ in group:
        assert seen.header(name) is None, f"{name}: {seen.header(name)} reached the origin"
    names = [key.lower() for key, _ in seen.headers]
    assert not [n for n in names if n.startswith(("x-envoy-", "x-exeat-", "x-egress-"))], names
    records = [r for r in edge.audit() if r.path == path]
    assert records and all(r.sid == session["sid"] for r in records)


@pytest.mark.parametrize("leg", LEGS)
def test_forged_claim_headers_grant_nothing(edge, origin, leg):
    before = len(origin.requests)
    answer = guest.get(edge, url(origin, "/", "git.example.test"), edge.token(), leg,
                       headers=[*FORGED, ("x-exeat-grants", "git"), ("grants", "git")])
    assert answer.status == 403 and answer.reason == "grant_missing"
    assert len(origin.requests) == before


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_duplicated_and_mixed_case_forgeries(edge, origin, leg, http):
    headers = [("x-exeat-leg", "connect"), ("x-exeat-leg", "transparent"),
               ("x-envoy-internal", "true, true")]
    if http == "1.1":
        headers += [("X-EXEAT-Tunnel", "Bearer a"), ("X-Envoy-Internal", "TRUE")]
    answer = guest.get(edge, url(origin, "/dup"), edge.token(), leg, http, headers=headers)
    assert answer.status in (200, 400), answer
    if answer.status == 200:
        assert not [k for k, _ in origin.requests[-1].headers
                    if k.lower().startswith(("x-exeat", "x-envoy"))]


@pytest.mark.parametrize("leg", LEGS)
def test_underscore_headers_never_reach_the_origin(edge, origin, leg):
    before = len(origin.requests)
    answer = guest.get(edge, url(origin), edge.token(), leg,
                       headers=[("x_exeat_session", "x"), ("x_api_key", "y")])
    assert answer.status == 400
    assert len(origin.requests) == before


@pytest.mark.parametrize("leg", LEGS)
def test_guests_own_request_id_is_replaced(edge, origin, leg):
    answer = guest.get(edge, url(origin, "/rid"), edge.token(), leg,
                       headers=[("x-request-id", "mine")])
    assert answer.status == 200
    assert answer.header("x-request-id") not in (None, "mine")
    assert origin.requests[-1].header("x-request-id") != "mine"


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", LEGS)
def test_second_credential_never_joins_the_real_one(edge, origin, leg, http):
    token = edge.token("git")
    answer = guest.get(edge, url(origin, "/", "git.example.test"), token, leg, http,
                       headers=[("authorization", "Bearer sk-one"),
                                ("authorization", "Bearer sk-two")])
    if answer.status == 200:
        assert origin.requests[-1].header("authorization") == f"Bearer {SECRETS['git']}"
    else:
        assert 400 <= answer.status < 500 and answer.reason


@pytest.mark.parametrize("leg", LEGS)
def test_nothing_is_attached_where_no_credential_is_named(edge, origin, leg):
    answer = guest.get(edge, url(origin, "/read/a", "open.example.test"), edge.token("git"), leg,
                       headers=[("x-api-key", "guest"), ("authorization", "Bearer guest")])
    assert answer.status == 200
    for name in CREDENTIAL_HEADERS:
        assert origin.requests[-1].header(name) is None


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("path", ["/reflect", "/status/500", "/status/403"])
def test_responses_are_cleaned(edge, origin, leg, http, path):
    answer = guest.get(edge, url(origin, path), edge.token(), leg, http)
    assert answer.status in (200, 500, 403)
    for name in (*CREDENTIAL_HEADERS, "x-deny-reason", "alt-svc", "server-timing", "set-cookie"):
        assert answer.header(name) is None, f"{name} reached the guest"
    assert not [k for k, _ in answer.headers if k.startswith(("x-envoy-", "x-exeat-"))]
    assert answer.header("x-request-id")
    assert_no_secret(answer)


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("status", [200, 302, 401, 403, 429, 431, 500])
def test_an_origin_that_refuses_an_upgrade_hands_nothing_over(edge, origin, leg, status):
    token = edge.token()
    client, _ = guest.open_client(edge, url(origin), token if leg == "connect" else None, leg)
    websocket = WebSocket(client, f"/reflect/{status}", f"api.example.test:{origin.port}",
                          [] if leg == "connect" else [("x-exeat-session", token)])
    websocket.close()
    answer = websocket.response
    assert origin.requests[-1].header("x-api-key") == SECRETS["api"]
    if status < 400:  # an answer to a handshake that makes no sense
        assert_denied(answer, 503, "upstream_unreachable", token)
        request_id = answer.json["request_id"]
        wait_for(lambda: [r for r in edge.audit() if r.request_id == request_id
                          and r.phase == "outcome" and r.reason == "upstream_unreachable"],
                 "the failed handshake is recorded as one")
        origin.requests.pop()  # recorded, but not among what was allowed to the end
    else:
        assert answer.status == status and answer.reason is None
        assert_no_secret(answer)
    for name in (*CREDENTIAL_HEADERS, "alt-svc", "server-timing", "set-cookie"):
        assert answer.header(name) is None, f"{name} reached the guest"
    assert not [k for k, _ in answer.headers if k.startswith(("x-envoy-", "x-exeat-"))]


@pytest.mark.parametrize("leg", LEGS)
def test_trailers_are_cleaned_both_ways(edge, origin, leg):
    token = edge.token()
    client, _ = guest.open_client(edge, url(origin), token if leg == "connect" else None, leg,
                                  "2")
    own = [] if leg == "connect" else [("x-exeat-session", token)]
    stream_id = client.start("POST", "/reflect", f"api.example.test:{origin.port}", own,
                             b"body", end=False)
    forged = [("x-api-key", "guest"), ("authorization", "Bearer guest"), ("x-exeat-session", "x"),
              ("x-exeat-leg", "connect"), ("x-envoy-internal", "true"),
              ("x-forwarded-for", "8.8.8.8")]
    client.trailers(stream_id, [*forged, ("x-trailer", "kept")])
    answer = client.finish(stream_id)
    trailers = client.received_trailers(stream_id)
    client.close()
    assert answer.status == 200, answer
    seen = origin.requests[-1]
    assert seen.protocol == "h2" and seen.header("x-api-key") == SECRETS["api"]
    assert seen.trailers == [("x-trailer", "kept")]
    assert trailers == [("x-trailer", "kept")]


@pytest.mark.parametrize("leg", LEGS)
def test_header_limits_answer_431(edge, origin, leg):
    before = len(origin.requests)
    answer = guest.get(edge, url(origin), edge.token(), leg, headers=[("x-big", "a" * 100000)])
    assert answer.status == 431, answer
    answer = guest.get(edge, url(origin), edge.token(), leg,
                       headers=[(f"x-{n}", "a") for n in range(400)])
    assert answer.status == 431, answer
    assert len(origin.requests) == before


@pytest.mark.parametrize("payload", [
    b"GET / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nx: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : {h}\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: {h}\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nx: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n", b"GET / HTTP/9.9\r\nHost: {h}\r\n\r\n",
    b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=range(12))
def test_malformed_framing_is_refused_or_is_one_request(edge, origin, payload):
    before = len(origin.requests)
    client, _ = guest.open_client(edge, url(origin), edge.token())
    host = f"api.example.test:{origin.port}".encode()
    client.stream.settimeout(3)
    answer = h1client.raw(client.stream, payload.replace(b"{h}", host))
    client.close()
    assert len(origin.requests) <= before + (answer is not None and answer.status == 200)
    if answer is not None and answer.status != 200:
        assert 400 <= answer.status < 500, answer


@pytest.mark.parametrize("value", ["a\rb", "a\x1b[31mb", 'a"b\\', "a\xffb"])
def test_odd_bytes_make_one_well_formed_record(edge, origin, value):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    client.stream.settimeout(3)
    h1client.raw(client.stream, (
        f"GET /odd HTTP/1.1\r\nHost: api.example.test:{origin.port}\r\n"
        f"user-agent: {value}\r\n\r\n").encode("latin-1"))
    client.close()
    edge.verify_audit()
    edge.audit()  # parses every line
