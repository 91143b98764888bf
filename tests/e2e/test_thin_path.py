"""The thin path: a guest with only a session token reaches an allowed host with the credential
attached, everything else is refused."""
import base64
import datetime

import pytest

from harness import guest, transport
from harness.poll import wait_for
from harness.world import SECRETS, assert_denied, assert_no_secret, settings, url

LEGS = ["connect", "transparent"]
HTTP = ["1.1", "2"]


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("http", HTTP)
def test_allowed_and_injected(edge, origin, leg, http):
    before = len(origin.requests)
    answer = guest.get(edge, url(origin, f"/in/{leg}/{http}?q=1"), edge.token(), leg, http)
    assert answer.status == 200, answer
    assert answer.json["protocol"] in ("h1", "h2")
    assert len(origin.requests) == before + 1
    seen = origin.requests[-1]
    assert seen.header("x-api-key") == SECRETS["api"]
    assert seen.path == f"/in/{leg}/{http}?q=1"
    assert_no_secret(answer)


@pytest.mark.parametrize("leg", LEGS)
def test_bearer_and_basic_credentials_take_their_form(edge, origin, leg):
    answer = guest.get(edge, url(origin, "/", "git.example.test"), edge.token("git"), leg)
    assert answer.status == 200, answer
    assert origin.requests[-1].header("authorization") == f"Bearer {SECRETS['git']}"


def test_basic_credential(bench, origin, edge):
    wanted = settings(bench, origin)
    wanted["destinations"][0]["credential"] = "basic"
    edge.apply(wanted)
    try:
        assert guest.get(edge, url(origin), edge.token()).status == 200
        expected = base64.b64encode(f"x-access-token:{SECRETS['basic']}".encode()).decode()
        assert origin.requests[-1].header("authorization") == f"Basic {expected}"
    finally:
        edge.apply(settings(bench, origin))


@pytest.mark.parametrize("http", HTTP)
def test_no_token_is_blocked_on_the_transparent_leg(edge, origin, http):
    before = len(origin.requests)
    answer = guest.get(edge, url(origin), None, "transparent", http)
    assert_denied(answer, 401, "token_missing")
    assert len(origin.requests) == before


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
def test_connect_without_a_token_is_challenged(edge, origin, version):
    before = origin.accepts
    _, answer = guest.tunnel(edge, f"api.example.test:{origin.port}", None, version=version)
    assert_denied(answer, 407, "token_missing")
    assert origin.accepts == before


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
@pytest.mark.parametrize("auth", [guest.basic, guest.bearer], ids=["basic", "bearer"])
def test_connect_in_every_version_and_form(edge, origin, version, auth):
    answer = guest.get(edge, url(origin, "/v"), edge.token(), auth=auth, proxy_version=version)
    assert answer.status == 200, answer
    assert origin.requests[-1].header("x-api-key") == SECRETS["api"]


@pytest.mark.parametrize("leg", LEGS)
def test_methods_bodies_and_query_pass_unchanged(edge, origin, leg):
    body = bytes(range(256)) * 300
    answer = guest.get(edge, url(origin, "/echo?x=%20y&z=/.."), edge.token(), leg,
                       method="POST", body=body)
    assert answer.status == 200
    seen = origin.requests[-1]
    assert seen.method == "POST" and seen.body == body and seen.path == "/echo?x=%20y&z=/.."


def test_many_requests_on_one_connection(edge, origin):
    client, _ = guest.open_client(edge, url(origin), edge.token())
    for number in range(20):
        answer = client.request("GET", f"/keep/{number}", f"api.example.test:{origin.port}")
        assert answer.status == 200
    client.close()
    assert len(origin.seen("/keep/")) == 20


def test_cleartext_is_refused(edge, origin):
    from harness import h1client
    client = h1client.H1(transport.dial(edge.proxy))
    answer = client.request("GET", f"http://api.example.test:{origin.port}/", "api.example.test",
                            [("proxy-authorization", guest.basic(edge.token()))])
    client.close()
    assert_denied(answer, 403, "cleartext_not_allowed")


def test_leaf_is_for_the_asked_name_and_short_lived(edge):
    import ssl
    from cryptography import x509
    secured = transport.tls(transport.dial(edge.transparent), "api.example.test", edge.ca)
    leaf = x509.load_der_x509_certificate(secured.getpeercert(True))
    secured.close()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.example.test"]
    hours = (leaf.not_valid_after - leaf.not_valid_before).total_seconds() / 3600
    assert 0.25 <= hours <= 24.2
    # Guests' clocks may run behind: five minutes of grace.
    assert leaf.not_valid_before <= datetime.datetime.utcnow() - datetime.timedelta(minutes=4)
    assert ssl.OPENSSL_VERSION  # the guest verified the chain: edge.ca was its only root


def test_operator_surfaces_answer(edge):
    assert edge.run("version", state=False).returncode == 0
    doctor = edge.cli("doctor")
    text = str(doctor)
    for role in ("guardian", "control", "envoy"):
        assert role in text
    assert "BEGIN CERTIFICATE" in edge.ca
    assert edge.metric("process_start_time_seconds") >= 0  # prints, and is text
    sid = edge.session()["sid"]
    assert sid in str(edge.cli("session", "list"))
    assert sid in str(edge.cli("session", "show", sid))


def test_why_explains_without_sending(edge, origin):
    before = origin.accepts
    sid = edge.session()["sid"]
    allowed = edge.run("why", "--sid", sid, "GET", url(origin))
    assert allowed.returncode == 0, allowed.stderr
    refused = edge.run("why", "--sid", sid, "GET", url(origin, "/", "git.example.test"))
    assert "grant_missing" in refused.stdout + refused.stderr
    unlisted = edge.run("why", "--sid", sid, "GET", "https://elsewhere.example/")
    assert "destination_not_allowed" in unlisted.stdout + unlisted.stderr
    assert origin.accepts == before


def test_closed_edge_refuses_everything(bench, origin, edge):
    token = edge.token()
    edge.apply(settings(bench, origin, posture="deny-all"))
    try:
        _, answer = guest.tunnel(edge, f"api.example.test:{origin.port}", token)
        assert_denied(answer, 403, "posture_deny_all")
    finally:
        edge.apply(settings(bench, origin))
    wait_for(lambda: guest.get(edge, url(origin), token).status == 200, "open again")


def test_metrics_count_decisions(edge, origin):
    guest.get(edge, url(origin), edge.token())
    text = edge.run("metrics").stdout
    assert "# TYPE" in text and "exeat" in text
    for secret in SECRETS.values():
        assert secret not in text + edge.log(10**7)
