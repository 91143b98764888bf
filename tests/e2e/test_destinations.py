"""Where a session may go: host, port, grant, method, path, and one authority throughout."""
import ssl

import pytest

from harness import guest, h1client, h2client, tokens, transport
from harness.poll import wait_for
from harness.world import assert_denied, settings, url

HOSTS = ["api.example.test", "open.example.test", "unlisted.example.test"]


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


@pytest.fixture(autouse=True)
def mark(origin):
    origin.mark = len(origin.requests)


def connect_status(edge, target, token):
    stream, answer = h1client.connect(edge.proxy, target, (guest.basic(token),))
    stream.close()
    return answer


def hello_bytes(stream, sni):
    """What the edge sends after a ClientHello for this name, as raw bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = transport.context().wrap_bio(incoming, outgoing, server_hostname=sni)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    stream.sendall(outgoing.read())
    stream.settimeout(8)
    return transport.read_until_closed(stream)


# -- one authority -------------------------------------------------------------------------------

@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sni", HOSTS[:2])
@pytest.mark.parametrize("target", HOSTS[:2])
def test_connect_target_sni_and_host_agree_or_nothing_passes(edge, origin, target, sni, host,
                                                             http):
    stream, answer = guest.tunnel(edge, f"{target}:{origin.port}", edge.token())
    assert answer.status == 200
    client = guest.speak(edge, stream, sni, http)
    answer = client.request("GET", "/read/x", f"{host}:{origin.port}")
    client.close()
    if target == sni == host:
        assert answer.status == 200, answer
    else:
        assert answer.status in (421, 403), answer
        assert answer.reason in ("authority_mismatch", "destination_not_allowed")
        if host != HOSTS[2]:
            assert_denied(answer, 421, "authority_mismatch")
        assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sni", HOSTS[:2])
def test_sni_and_host_agree_on_the_transparent_leg(edge, origin, sni, host, http):
    answer = guest.get(edge, url(origin, "/read/x", sni), edge.token(), "transparent", http,
                       host=f"{host}:{origin.port}")
    if sni == host:
        assert answer.status == 200, answer
    else:
        assert answer.status in (421, 403), answer
        assert len(origin.requests) == origin.mark


def test_a_second_authority_on_one_h2_connection_is_judged_alone(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.token(), "transparent", "2")
    token = [("x-exeat-session", edge.token())]
    assert client.request("GET", "/", f"api.example.test:{origin.port}", token).status == 200
    assert_denied(client.request("GET", "/read/x", f"open.example.test:{origin.port}", token),
                  421, "authority_mismatch")
    assert client.request("GET", "/", f"api.example.test:{origin.port}", token).status == 200
    client.close()


def test_two_host_headers_are_refused(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    answer = h1client.raw(client.stream, (
        f"GET / HTTP/1.1\r\nHost: api.example.test:{origin.port}\r\n"
        f"Host: open.example.test:{origin.port}\r\n\r\n").encode())
    assert answer is None or answer.status == 400 or answer.status == 421, answer
    assert len(origin.requests) == origin.mark


def test_absolute_form_with_another_host_has_one_authority(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    answer = h1client.raw(client.stream, (
        f"GET https://open.example.test:{origin.port}/read/x HTTP/1.1\r\n"
        f"Host: api.example.test:{origin.port}\r\n\r\n").encode())
    assert answer is None or answer.status in (400, 403, 421), answer
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("target", ["api.example.test:{}", "open.example.test:{}",
                                    "api.example.test:1", "unlisted.example.test:443"])
@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_connect_inside_is_a_method_whatever_its_target(edge, origin, leg, target, http):
    token, target = edge.token(), target.format(origin.port)
    if leg == "connect":
        stream, _ = guest.tunnel(edge, f"api.example.test:{origin.port}", token)
        headers = []
    else:
        stream, headers = transport.dial(edge.transparent), [("x-exeat-session", token)]
    secured = transport.tls(stream, "api.example.test", edge.ca,
                            ("h2",) if http == "2" else ("http/1.1",))
    if http == "2":
        client = h2client.H2(secured, validate=False)
        answer = client.finish(client.start("CONNECT", "", target, headers, end=False))
    else:
        client = h1client.H1(secured)
        answer = client.request("CONNECT", target, target, headers)
    client.close()
    assert_denied(answer, 403, "method_not_allowed", token)
    denied = wait_for(lambda: [r for r in edge.audit(reason="method_not_allowed")
                               if r.request_id == answer.json["request_id"]], "its record")
    assert all(r.denied for r in denied)
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("coding", ["xchunked", "gzip", "chunked, identity"])
def test_what_the_codec_refuses_is_malformed(edge, origin, leg, coding):
    """Envoy answers 501 there by itself, which must not read as a guard that is down."""
    client, _ = guest.open_client(edge, url(origin), edge.token() if leg == "connect" else None,
                                  leg)
    answer = h1client.raw(client.stream, (
        f"GET / HTTP/1.1\r\nHost: api.example.test:{origin.port}\r\n"
        f"Transfer-Encoding: {coding}\r\n\r\n").encode())
    client.close()
    assert_denied(answer, 400, "request_malformed")
    assert answer.json["retry"] is False
    assert len(origin.requests) == origin.mark


# -- names ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [
    "unlisted.example.test", "xapi.example.test", "api-example.test", "api.example.test.evil",
    "example.test", "test", "api.example.test.example.test",
    "аpi.example.test".encode("idna").decode()])
def test_unlisted_name_is_refused_at_connect(edge, origin, name):
    assert_denied(connect_status(edge, f"{name}:{origin.port}", edge.token()),
                  403, "destination_not_allowed")
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("name", ["unlisted.example.test", "xapi.example.test",
                                  "api.example.test.evil", None])
def test_unlisted_sni_is_closed_before_a_handshake(edge, name):
    accepted = transport.dial(edge.transparent)
    assert hello_bytes(accepted, name) == b""
    accepted.close()
    found = wait_for(lambda: [r for r in edge.audit(reason="destination_not_allowed")
                              if r.class_uid == 4001], "a 4001 record of the closed connection")
    assert found[-1].denied


@pytest.mark.parametrize("sni", ["unlisted.example.test", None])
def test_unlisted_sni_inside_a_tunnel_is_closed_before_a_handshake(edge, origin, sni):
    stream, answer = guest.tunnel(edge, f"api.example.test:{origin.port}", edge.token())
    assert answer.status == 200
    assert hello_bytes(stream, sni) == b""
    stream.close()


def test_not_tls_at_all_is_closed(edge):
    stream = transport.dial(edge.transparent)
    stream.sendall(b"GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
    stream.settimeout(8)
    assert b"200" not in transport.read_until_closed(stream)
    stream.close()


@pytest.mark.parametrize("name", ["API.Example.TEST", "api.example.test."])
def test_case_and_trailing_dot_are_the_same_name(edge, origin, name):
    """The same decision as the canonical form, or a refusal: never another one."""
    answer = connect_status(edge, f"{name}:{origin.port}", edge.token())
    assert answer.status == 200 or (400 <= answer.status < 500 and answer.reason), answer
    answer = connect_status(edge, f"{name.replace('api', 'xapi').replace('API', 'XAPI')}"
                                  f":{origin.port}", edge.token())
    assert_denied(answer, 403, "destination_not_allowed")


def test_upper_case_sni_never_mints_a_second_leaf(edge, origin):
    try:
        answer = guest.get(edge, url(origin), edge.token(), "transparent", sni="API.example.test")
        assert answer.status in (200, 421), answer
    except OSError:
        pass  # refused in the handshake
    leaves = [r for r in edge.audit() if "API.example.test" in str(r)]
    assert not [r for r in leaves if r.allowed and r.class_uid == 6003]


@pytest.mark.parametrize("target", [
    "user@api.example.test", "api.example.test@evil.test", "api.example.test%00.evil",
    "api%2eexample.test", "api．example.test".encode().decode("latin-1"),
    "api\t.example.test", "[api.example.test]", "*.example.test", "", " ", "a" * 254, "..", "."])
def test_odd_targets_are_refused(edge, origin, target):
    try:
        answer = connect_status(edge, f"{target}:{origin.port}", edge.token())
        assert 400 <= answer.status < 500, answer
    except OSError:
        pass  # not even HTTP
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("host", [
    "127.0.0.1", "127.10.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0",
    "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[fe80::1%25lo]", "100.64.0.1", "224.0.0.1", "10.0.0.1", "metadata.google.internal",
    "localhost"])
def test_addresses_are_no_destinations(edge, origin, host):
    answer = connect_status(edge, f"{host}:{origin.port}", edge.token())
    assert answer.status in (400, 403), answer
    assert answer.reason in ("destination_not_allowed", "address_denied", "request_malformed")
    assert len(origin.requests) == origin.mark


# -- ports ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("port", ["22", "25", "443", "80", "8443", "1"])
def test_unlisted_port_is_refused(edge, port):
    assert_denied(connect_status(edge, f"api.example.test:{port}", edge.token()),
                  403, "port_not_allowed")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "", "abc", "00443", "443443443443"])
def test_malformed_port_is_refused(edge, origin, port):
    try:
        answer = connect_status(edge, f"api.example.test:{port}", edge.token())
        assert answer.status in (400, 403), answer
    except OSError:
        pass
    assert len(origin.requests) == origin.mark


def test_missing_port_is_refused(edge):
    answer = connect_status(edge, "api.example.test", edge.token())
    assert answer.status in (400, 403), answer


def test_port_of_the_inner_host_must_be_the_tunnels(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    answer = client.request("GET", "/", "api.example.test:8443")
    assert answer.status in (403, 421) and answer.reason, answer
    assert len(origin.requests) == origin.mark
    client.close()


# -- grants, methods, paths ----------------------------------------------------------------------

@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("grants", [(), ("other",), ("gi",), ("git2",), ("GIT",)], ids=str)
def test_destination_needs_its_grant(edge, origin, leg, grants):
    # Signed by the deployment's own key: `session create` refuses grants that no policy names.
    token = tokens.Forge(edge.token(), edge.state).good(grants=list(grants))
    assert_denied(guest.get(edge, url(origin, "/", "git.example.test"), token, leg),
                  403, "grant_missing", token)
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("grants", [("git",), ("other", "git")], ids=str)
def test_grant_opens_its_destination(edge, origin, grants):
    token = tokens.Forge(edge.token(), edge.state).good(grants=list(grants))
    answer = guest.get(edge, url(origin, "/", "git.example.test"), token)
    assert answer.status == 200, answer


def test_grants_that_no_destination_asks_for_are_refused_at_once(edge):
    done = edge.run("session", "create", "--grant", "gti")
    assert done.returncode == 1 and "git" in done.stderr


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("method,path,status,reason", [
    ("GET", "/read/a", 200, None), ("GET", "/read/a/b?c=/../..", 200, None),
    ("HEAD", "/read/a", 200, None), ("POST", "/write", 200, None),
    ("POST", "/write?x=1", 200, None),
    ("POST", "/read/a", 403, "method_not_allowed"), ("GET", "/write", 403, "method_not_allowed"),
    ("DELETE", "/write", 403, "method_not_allowed"),
    ("GET", "/", 403, "path_not_allowed"), ("GET", "/reader", 403, "path_not_allowed"),
    ("POST", "/write/", 403, "path_not_allowed"), ("POST", "/write/x", 403, "path_not_allowed"),
    ("GET", "/other", 403, "path_not_allowed"), ("GET", "/READ/a", 403, "path_not_allowed"),
    ("TRACE", "/read/a", 403, "method_not_allowed"),
    ("TRACK", "/read/a", 403, "method_not_allowed")])
def test_methods_and_paths(edge, origin, leg, method, path, status, reason):
    answer = guest.get(edge, url(origin, path, "open.example.test"), edge.token(), leg,
                       method=method)
    if status == 200:
        assert answer.status == 200, answer
        assert len(origin.requests) == origin.mark + 1
    else:
        if method in ("TRACE", "TRACK") and answer.status == 400:
            return  # the codec may refuse it first
        assert_denied(answer, status, reason)
        assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("path", [
    "/read/../other", "/read/%2e%2e/other", "/read/.%2e/other", "/read/..;/other",
    "/read/..%2fother", "/read/%2e%2e%2fother", "/read\\..\\other", "/./other", "//other",
    "/read//../../other", "/other;x=/read/a", "/other#/read/a", "/read/%00", "/read/a%0d%0ax: y"])
def test_path_spellings_never_widen_a_rule(edge, origin, path):
    """What reaches the origin still matches the rule after every normalisation."""
    client, _ = guest.open_client(edge, url(origin, "/", "open.example.test"), edge.token())
    answer = h1client.raw(client.stream, (
        f"GET {path} HTTP/1.1\r\nHost: open.example.test:{origin.port}\r\n\r\n").encode())
    client.close()
    for seen in origin.requests[origin.mark:]:
        assert seen.path.startswith("/read/"), seen
        assert "/../" not in seen.path and "%2e%2e" not in seen.path.lower()
        assert "%2f" not in seen.path.lower() and "\\" not in seen.path
    if len(origin.requests) == origin.mark:
        assert answer is None or 400 <= answer.status < 500, answer


@pytest.mark.parametrize("method,path", [("OPTIONS", "*"), ("TRACE", "/"), ("TRACK", "/")])
def test_debug_methods_are_refused_everywhere(edge, origin, method, path):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    answer = h1client.raw(client.stream, (
        f"{method} {path} HTTP/1.1\r\nHost: api.example.test:{origin.port}\r\n\r\n").encode(),
        method)
    client.close()
    assert answer is None or answer.status in (400, 403), answer
    assert len(origin.requests) == origin.mark


def test_redirects_are_handed_to_the_guest_not_followed(edge, origin):
    target = f"https://open.example.test:{origin.port}/read/secret"
    answer = guest.get(edge, url(origin, f"/redirect?to={target}"), edge.token())
    assert answer.status == 302 and answer.header("location") == target
    assert len(origin.requests) == origin.mark + 1


def test_each_connect_stream_of_one_h2_connection_is_judged_alone(edge, origin):
    """Two CONNECT streams of one HTTP/2 connection, one allowed and one not."""
    connection = h2client.proxy_connection(edge.proxy)
    auth = (guest.basic(edge.token()),)
    good, answer = h2client.open_tunnel(connection, f"api.example.test:{origin.port}", auth)
    assert answer.status == 200
    bad, refused = h2client.open_tunnel(connection, "unlisted.example.test:443", auth)
    assert bad is None
    assert_denied(refused, 403, "destination_not_allowed")
    client = guest.speak(edge, good, "api.example.test", "1.1")
    assert client.request("GET", "/", f"api.example.test:{origin.port}").status == 200
    client.close()


# -- what resolver.hosts names -------------------------------------------------------------------

@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1",
                                     "100.64.0.1", "0.0.0.0", "192.168.1.1"])
def test_fixed_answers_in_the_deny_set_are_denied(bench, edge, origin, address):
    wanted = settings(bench, origin)
    wanted["destinations"].append({"name": "inner", "host": "inner.example.test",
                                   "ports": [origin.port]})
    wanted["resolver"]["hosts"]["inner.example.test"] = [address]
    edge.apply(wanted)
    answer = guest.get(edge, url(origin, "/", "inner.example.test"), edge.token())
    assert_denied(answer, 403, "address_denied")


def test_edges_own_listeners_are_no_upstream(bench, edge, origin):
    """Whatever allow_private says, the edge does not dial itself."""
    port = int(edge.proxy.rsplit(":", 1)[1])
    wanted = settings(bench, origin)
    wanted["resolver"]["allow_private"].append("127.0.0.0/8")
    wanted["destinations"].append({"name": "self", "host": "self.example.test", "ports": [port]})
    wanted["resolver"]["hosts"]["self.example.test"] = ["127.0.0.1"]
    edge.apply(wanted)
    answer = guest.get(edge, f"https://self.example.test:{port}/", edge.token())
    assert_denied(answer, 403, "address_denied")
