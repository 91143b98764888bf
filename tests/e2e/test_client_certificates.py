"""mtls: the edge presents a client certificate that no guest holds."""
import pytest

from harness import guest, pki
from harness.edge import policy
from harness.poll import wait_for
from harness.world import assert_denied

HOSTS = ["bank.example.test", "vetted.example.test"]


@pytest.fixture(scope="module")
def clients(directory):
    """The authority that the origin trusts for clients; it signs no server."""
    return pki.Authority(directory / "clients", "client test CA")


@pytest.fixture(scope="module")
def bank(bench, clients):
    """An origin that speaks to nobody without a certificate of `clients`."""
    return bench.origin("bank", HOSTS, address="127.10.0.2", client_ca=clients.certificate)


@pytest.fixture(scope="module")
def edge(bench, bank, clients):
    put(bench, clients.client("first"))
    name = {"kind": "mtls", "source": {"certificate": str(bench.directory / "bank.crt"),
                                       "key": str(bench.directory / "bank.key")}}
    made = policy(bench.authority.certificate, dict.fromkeys(HOSTS, bank.address), [
        {"name": "bank", "host": HOSTS[0], "ports": [bank.port], "credential": "bank"},
        {"name": "vetted", "host": HOSTS[1], "ports": [bank.port], "credential": "bank",
         "authorize": "connection"}], [{"name": "bank", **name}])
    return bench.edge(made)


def put(bench, pair):
    """Both files of a pair, each renamed over the one before."""
    for source, name in zip(pair, ("bank.crt", "bank.key")):
        fresh = bench.directory / (name + ".new")
        fresh.write_bytes(source.read_bytes())
        fresh.chmod(0o600)
        fresh.rename(bench.directory / name)


@pytest.fixture
def pair(bench, edge, bank, clients):
    """The pair behind the credential; a good one stands there when the test is done."""
    yield lambda made: put(bench, made)
    # One that was never there: a connection of before may still present the former one.
    name = f"good-{bank.accepts}"
    put(bench, clients.client(name))
    wait_for(lambda: presented(edge, bank) == name, "the new certificate is presented", 60)


@pytest.fixture
def files(bench, edge, bank, clients):
    """The directory of the two files, in which any good pair stands again in the end."""
    yield bench.directory
    put(bench, clients.client("restored"))
    wait_for(lambda: presented(edge, bank), "a certificate is presented again", 10)


def url(bank, host=HOSTS[0]):
    return f"https://{host}:{bank.port}/"


def presented(edge, bank, **options):
    """Whose certificate the origin saw, or None when the request was refused."""
    answer = guest.get(edge, url(bank), edge.token(), **options)
    return bank.clients[bank.requests[-1].connection] if answer.status == 200 else None


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_the_certificate_is_presented_and_nothing_else_is_said(edge, bank, leg, http):
    assert presented(edge, bank, leg=leg, http=http)
    names = {name.lower() for name, _ in bank.requests[-1].headers}
    assert not [name for name in names if name.startswith("x-exeat") or name == "authorization"]


def test_a_new_pair_is_used_for_new_connections_which_no_old_one_outlives_for_long(
        edge, bank, clients, pair):
    pids = {role: p.pid for role, p in edge.roles().items()}
    pair(clients.client("second"))
    wait_for(lambda: presented(edge, bank) == "second", "the new certificate is presented", 60)
    assert {role: p.pid for role, p in edge.roles().items()} == pids


def test_a_certificate_of_a_stranger_reaches_nothing(edge, bench, bank, pair):
    pair(bench.authority.client("stranger"))

    def refused():
        answer = guest.get(edge, url(bank), edge.token())
        return answer if answer.status != 200 else None
    answer = wait_for(refused, "the origin refuses the stranger", 60)
    before = len(bank.requests)
    assert answer.reason in ("upstream_tls", "upstream_unreachable")
    assert len(bank.requests) == before


WITHDRAWALS = {
    "key missing": lambda directory, _: (directory / "bank.key").unlink(),
    "certificate missing": lambda directory, _: (directory / "bank.crt").unlink(),
    "key blank": lambda directory, _: (directory / "bank.key").write_text(""),
    "key open to others": lambda directory, _: (directory / "bank.key").chmod(0o644),
    "key of another": lambda directory, clients: (directory / "bank.key").write_bytes(
        clients.client("other")[1].read_bytes()),
}


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_withdrawn_pair_is_presented_no_more(edge, bank, clients, files, how):
    """Neither where Check is asked nor in a tunnel in which it is not."""
    token = edge.token()
    assert guest.get(edge, url(bank), token).status == 200  # a connection stands to the origin
    host = HOSTS[1]
    vetted, _ = guest.open_client(edge, url(bank, host), token)
    ask = lambda: vetted.request("GET", "/", f"{host}:{bank.port}")  # noqa: E731
    assert ask().status == 200
    WITHDRAWALS[how](files, clients)
    wait_for(lambda: guest.get(edge, url(bank), token).status != 200, "it is noticed", 10)
    wait_for(lambda: ask().status != 200, "it is in force in Envoy", 10)
    before = len(bank.requests), bank.accepts
    for leg in ("connect", "transparent"):
        assert_denied(guest.get(edge, url(bank), token, leg), 503, "credential_unavailable")
    assert_denied(ask(), 503, "credential_unavailable")
    assert (len(bank.requests), bank.accepts) == before
    vetted.close()
