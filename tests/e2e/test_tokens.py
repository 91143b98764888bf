"""Tokens: where they may stand, which one counts, and every way of forging one."""
import time

import pytest

from harness import guest, h1client, tokens, transport
from harness.poll import wait_for
from harness.streams import BREAKS
from harness.world import SECRETS, assert_denied, settings, url

PLACES = list(guest.PLACES)


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


@pytest.fixture(scope="module")
def forge(edge):
    return tokens.Forge(edge.token("git"), edge.state)


@pytest.fixture(autouse=True)
def nothing_reaches_the_origin_unless_allowed(origin):
    """Each refusing test uses `refused`; this keeps the count it compares with."""
    origin.mark = len(origin.requests)


def session_of(edge, path):
    """The sid that the audit says made the request to this path."""
    return wait_for(lambda: [r for r in edge.audit() if r.path == path and r.is_request],
                    f"an audit record of {path}")[0].sid


# -- places and precedence -----------------------------------------------------------------------

@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("place", PLACES)
def test_each_place_inside_the_request(edge, origin, place, http):
    session = edge.session()
    answer = guest.get(edge, url(origin, f"/place/{place}/{http}"), session["token"],
                       "transparent", http, place=place)
    assert answer.status == 200, answer
    seen = origin.requests[-1]
    assert seen.header("x-api-key") == SECRETS["api"]
    assert session["token"] not in str(seen.headers)
    assert session_of(edge, f"/place/{place}/{http}") == session["sid"]


@pytest.mark.parametrize("extra", [
    [("authorization", "Bearer sk-dummy")], [("x-api-key", "sk-dummy")],
    [("authorization", "Basic dTpw"), ("x-api-key", "dummy")]], ids=str)
@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_dummy_keys_do_not_break_a_named_session(edge, origin, leg, extra):
    answer = guest.get(edge, url(origin), edge.token(), leg, headers=extra)
    assert answer.status == 200, answer
    seen = origin.requests[-1]
    assert "dummy" not in str(seen.headers) and seen.header("x-api-key") == SECRETS["api"]
    assert seen.header("authorization") is None


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_another_sessions_token_in_a_key_place_changes_nothing(edge, origin, leg):
    mine, other = edge.session(), edge.session("git")
    path = f"/mine/{leg}"
    answer = guest.get(edge, url(origin, path), mine["token"], leg,
                       headers=[("authorization", guest.bearer(other["token"])),
                                ("x-api-key", other["token"])])
    assert answer.status == 200
    assert session_of(edge, path) == mine["sid"]
    assert other["token"] not in str(origin.requests[-1].headers)


def test_basic_inside_the_request_is_no_token(edge, origin):
    answer = guest.get(edge, url(origin), None, "transparent",
                       headers=[("authorization", guest.basic(edge.token()))])
    assert answer.status == 401 and answer.reason in ("token_missing", "token_invalid")


def test_session_header_beside_a_tunnel(edge, origin, forge):
    mine, other = edge.session(), edge.session()
    same = [("x-exeat-session", mine["token"])]
    assert guest.get(edge, url(origin), mine["token"], headers=same).status == 200
    assert_denied(guest.get(edge, url(origin), mine["token"],
                            headers=[("x-exeat-session", other["token"])]),
                  403, "token_conflict", other["token"])
    assert_denied(guest.get(edge, url(origin), mine["token"],
                            headers=[("x-exeat-session", forge.bad_signature())]),
                  401, "token_invalid")
    assert len(origin.requests) == origin.mark + 1


def test_renewed_token_beside_its_tunnel_is_the_same_session(edge, origin):
    mine = edge.session()
    renewed = edge.cli("session", "renew", mine["sid"])
    assert renewed["sid"] == mine["sid"]
    answer = guest.get(edge, url(origin), mine["token"],
                       headers=[("x-exeat-session", renewed["token"])])
    assert answer.status == 200, answer


def test_forged_session_header_is_not_healed_by_a_good_key_place(edge, origin, forge):
    answer = guest.get(edge, url(origin), None, "transparent", headers=[
        ("x-exeat-session", forge.bad_signature()),
        ("authorization", guest.bearer(edge.token()))])
    assert_denied(answer, 401, "token_invalid")
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("query", ["access_token", "token", "session"])
def test_query_and_cookie_are_no_place(edge, origin, query):
    token = edge.token()
    answer = guest.get(edge, url(origin, f"/?{query}={token}"), None, "transparent",
                       headers=[("cookie", f"session={token}; x-exeat-session={token}")])
    assert_denied(answer, 401, "token_missing", token)


# -- duplicates ----------------------------------------------------------------------------------

@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("order", ["good first", "forged first", "both good", "good twice"])
def test_two_tokens_in_one_place_are_refused(edge, origin, forge, place, http, order):
    good, other = edge.token(), edge.token()
    pair = {"good first": (good, forge.bad_signature()),
            "forged first": (forge.bad_signature(), good),
            "both good": (good, other), "good twice": (good, good)}[order]
    answer = guest.get(edge, url(origin), None, "transparent", http,
                       headers=[guest.PLACES[place](t) for t in pair])
    assert 400 <= answer.status < 500 and answer.reason, answer
    assert len(origin.requests) == origin.mark


@pytest.mark.parametrize("both_good", [True, False])
def test_two_proxy_authorizations_are_refused(edge, origin, forge, both_good):
    good = guest.basic(edge.token())
    second = guest.basic(edge.token() if both_good else forge.bad_signature())
    for pair in ((good, second), (second, good)):
        stream, answer = h1client.connect(edge.proxy, f"api.example.test:{origin.port}", pair)
        stream.close()
        assert 400 <= answer.status < 500 and answer.reason, answer


# -- forgeries -----------------------------------------------------------------------------------

FORGERIES = {
    "bad signature": (lambda f: f.bad_signature(), "token_invalid"),
    "swapped claims": (lambda f: f.swapped_claims(sub="root", grants=["git"]), "token_invalid"),
    "other key": (lambda f: f.variant(key=tokens.new_key()), "token_invalid"),
    "alg none": (lambda f: f.none(), "token_invalid"),
    "alg None": (lambda f: f.none("None"), "token_invalid"),
    "alg nOnE": (lambda f: f.none("nOnE"), "token_invalid"),
    "alg none, real signature": (
        lambda f: f.none("none", f.token.split(".")[2]), "token_invalid"),
    "no signature": (lambda f: f.token.rsplit(".", 1)[0] + ".", "token_invalid"),
    "two segments": (lambda f: f.token.rsplit(".", 1)[0], "token_invalid"),
    "HS256 with the PEM": (lambda f: f.hs256(f.public_pem()), "token_invalid"),
    "HS256 with the PEM, stripped": (
        lambda f: f.hs256(f.public_pem().strip()), "token_invalid"),
    "HS256 with the DER": (lambda f: f.hs256(f.public_der()), "token_invalid"),
    "HS256 with nothing": (lambda f: f.hs256(b""), "token_invalid"),
    "RS256": (lambda f: f.rs256(), "token_invalid"),
    "unknown kid": (lambda f: f.variant(header={"kid": "nobody"}), "token_invalid"),
    "kid is a path": (lambda f: f.variant(header={"kid": "../../k"}), "token_invalid"),
    "kid is SQL": (lambda f: f.variant(header={"kid": "' OR 1=1 --"}), "token_invalid"),
    "kid is a number": (lambda f: f.variant(header={"kid": 7}), "token_invalid"),
    "wrong typ": (lambda f: f.variant(header={"typ": "id+jwt"}), "token_invalid"),
    "crit": (lambda f: f.variant(header={"crit": ["exp"], "exp": 1}), "token_invalid"),
    "expired": (lambda f: f.expired(), "token_expired"),
    "expired past the skew": (lambda f: f.expired(8), "token_expired"),
    "not yet valid": (lambda f: f.not_yet(), "token_expired"),
    "not yet valid past the skew": (lambda f: f.not_yet(9), "token_expired"),
    "wrong audience": (lambda f: f.variant(aud="somewhere"), "token_audience"),
    "no audience": (lambda f: f.variant(drop=["aud"]), None),
    "wrong issuer": (lambda f: f.variant(iss="https://elsewhere"), "token_invalid"),
    "no exp": (lambda f: f.variant(drop=["exp"]), "token_invalid"),
    "no sid": (lambda f: f.variant(drop=["sid"]), "token_invalid"),
    "empty sid": (lambda f: f.variant(sid=""), "token_invalid"),
    "sid is a list": (lambda f: f.variant(sid=["a"]), "token_invalid"),
    "exp is text": (lambda f: f.variant(exp="never"), "token_invalid"),
    "exp negative": (lambda f: f.variant(exp=-1), None),
    "exp 2^63": (lambda f: f.variant(exp=2**63), "token_invalid"),
    "claims are a list": (
        lambda f: tokens.sign(f.key, f.header, b"[]"), "token_invalid"),
    "claims are deep": (
        lambda f: tokens.sign(f.key, f.header, b"[" * 1000 + b"]" * 1000), "token_invalid"),
    "not a token": (lambda f: "hello", "token_invalid"),
    "dots": (lambda f: "..", "token_invalid"),
    "padding": (lambda f: f.token + "=", "token_invalid"),
}


def check_refusal(answer, token, reason, unauthenticated):
    if reason is None:
        assert answer.status == unauthenticated, answer
        assert answer.reason.startswith("token_")
        reason = answer.reason
    assert_denied(answer, unauthenticated, reason, token if len(token) > 10 else None)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_refused_on_both_legs_and_in_every_place(edge, origin, forge, name):
    make, reason = FORGERIES[name]
    token = make(forge)
    for auth in (guest.basic, guest.bearer):
        _, answer = guest.tunnel(edge, f"api.example.test:{origin.port}", token, auth)
        check_refusal(answer, token, reason, 407)
    for place in PLACES:
        answer = guest.get(edge, url(origin), token, "transparent", place=place)
        check_refusal(answer, token, reason, 401)
    assert len(origin.requests) == origin.mark


def test_keys_that_a_token_brings_are_not_fetched_or_used(edge, origin, forge):
    key = tokens.new_key()
    numbers = key.public_key().public_numbers()
    x, y = (tokens.b64(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": forge.header["kid"]}
    accepts = origin.accepts
    base = f"https://{origin.address}:{origin.port}/jwks"
    for header in ({"jwk": jwk}, {"jku": base}, {"x5u": base}, {"x5c": ["MIIB"]}):
        token = forge.variant(key=key, header=header)
        assert_denied(guest.get(edge, url(origin), token, "transparent"), 401, "token_invalid")
    assert origin.accepts == accepts


@pytest.mark.parametrize("size", [8 << 10, 40 << 10, 1 << 20])
def test_giant_tokens_are_refused_quickly(edge, origin, size):
    start = time.monotonic()
    try:
        answer = guest.get(edge, url(origin), "a" * size, "transparent")
        assert answer.status in (400, 401, 431), answer
    except OSError:
        pass  # the codec may close while we still write
    assert time.monotonic() - start < 2
    assert len(origin.requests) == origin.mark


def test_tokens_within_the_skew_pass(edge, origin, forge):
    now = int(time.time())
    for token in (forge.good(exp=now - 1), forge.good(nbf=now + 2, exp=now + 60)):
        assert guest.get(edge, url(origin), token, "transparent").status == 200


# -- expiry --------------------------------------------------------------------------------------

def test_tunnel_dies_with_its_token_whatever_else_the_request_carries(edge, origin):
    short, fresh = edge.session(ttl="1s"), edge.token()
    client, refused = guest.open_client(edge, url(origin), short["token"])
    assert refused is None
    host = f"api.example.test:{origin.port}"
    assert client.request("GET", "/first", host).status == 200

    def cut():
        """Refused from the second of its end on, and cut within a tenth more."""
        try:
            answer = client.request("GET", "/later", host, [
                ("authorization", guest.bearer(fresh)), ("x-api-key", fresh)])
        except BREAKS:
            return True
        if answer.status != 200:
            assert_denied(answer, 401, "token_expired", fresh)
        return False
    wait_for(cut, "the tunnel ends with its token", 12, 0.02)
    before = len(origin.requests)
    with pytest.raises(BREAKS):
        client.request("GET", "/later", host, [("x-exeat-session", fresh)])
    assert len(origin.requests) == before
    client.close()


def test_ttl_is_bounded_by_the_policy(edge):
    done = edge.run("session", "create", "--ttl", "2h")
    if done.returncode == 0:
        _, claims = tokens.parts(edge.session(ttl="2h")["token"])
        assert claims["exp"] - claims["iat"] <= 3600
    else:
        assert "max_lifetime" in done.stderr
    assert edge.run("session", "create", "--ttl", "0s").returncode != 0


def test_token_says_what_the_contract_says(edge):
    session = edge.session("git", sub="alice", ttl="5m")
    header, claims = tokens.parts(session["token"])
    assert header["alg"] == "ES256" and header["kid"] and header["typ"] == tokens.TYPE
    assert claims["iss"] == "e2e" and claims["sid"] == session["sid"]
    assert claims["sub"] == "alice" and claims["grants"] == ["git"]
    assert claims["aud"] in (tokens.AUDIENCE, [tokens.AUDIENCE]) and claims["jti"]
    assert claims["exp"] - claims["iat"] == 300
    assert session["token"] in session["proxy_url"]


def test_unsolicited_bytes_before_the_answer_are_not_forwarded(edge, origin):
    """What a guest sends after a refused CONNECT never becomes a request."""
    stream = transport.dial(edge.proxy)
    target = f"api.example.test:{origin.port}"
    stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
                   f"GET / HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    stream.settimeout(2)
    received = transport.read_until_closed(stream)
    assert b" 200 " not in received.split(b"\r\n")[0]
    assert len(origin.requests) == origin.mark
    stream.close()


# Last, since it withdraws the key that the module's forged tokens are signed with.
def test_key_rotation_leaves_no_gap_and_withdrawal_is_at_once(edge, origin):
    """Every token works through a rotation; withdrawing refuses the old key's when it returns."""
    old = edge.token()
    edge.cli("session", "rotate-key")
    fresh = edge.token()
    assert tokens.parts(fresh)[0]["kid"] != tokens.parts(old)[0]["kid"]
    for token in (old, fresh):
        for leg in ("connect", "transparent"):
            assert guest.get(edge, url(origin), token, leg).status == 200
    warm, _ = guest.open_client(edge, url(origin), old)
    host = f"api.example.test:{origin.port}"
    assert warm.request("GET", "/", host).status == 200
    edge.cli("session", "rotate-key", "--withdraw")
    before = len(origin.requests)
    assert_denied(warm.request("GET", "/", host), 401, "token_invalid")
    for token in (old, fresh):
        assert_denied(guest.get(edge, url(origin), token, "transparent"), 401, "token_invalid")
    assert len(origin.requests) == before
    assert guest.get(edge, url(origin), edge.token()).status == 200
