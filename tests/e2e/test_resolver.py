"""Names from DNS: what they resolve into is judged before anything is dialled."""
import socket
import threading

import pytest

from harness import guest
from harness.dns import Dns
from harness.edge import policy
from harness.poll import holds_for, wait_for
from harness.world import assert_denied

GOOD = "good.example.test"
DENIED = {
    "loopback": ["127.0.0.1"], "metadata": ["169.254.169.254"], "private": ["10.0.0.1"],
    "cgnat": ["100.64.0.1"], "zero": ["0.0.0.0"], "loopback6": ["::1"],
    "mapped": ["::ffff:127.0.0.1"], "nat64": ["64:ff9b::7f00:1"], "linklocal6": ["fe80::1"],
    "unique6": ["fd00::1"], "metadata6": ["fd00:ec2::254"], "multicast": ["224.0.0.1"],
    "many": ["10.0.0.1", "::1", "192.168.0.1"],
}


class Trap:
    """Listens where no request may ever be sent."""

    def __init__(self, port):
        self.accepts = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepts += 1
            connection.close()

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def dns(bench):
    made = Dns()
    bench.closers.append(made.close)
    return made


@pytest.fixture(scope="module")
def good(bench):
    return bench.origin("good", [GOOD, "mixed.example.test", "turning.example.test",
                                 "late.example.test"])


@pytest.fixture(scope="module")
def trap(bench, good):
    """The same port on an address that the policy does not open."""
    made = Trap(good.port)
    bench.closers.append(made.close)
    return made


@pytest.fixture(scope="module")
def edge(bench, authority, dns, good, trap):
    names = [GOOD, "mixed.example.test", "turning.example.test", "late.example.test",
             "absent.example.test", *(f"{name}.example.test" for name in DENIED)]
    dns.answers.update({f"{name}.example.test": addresses for name, addresses in DENIED.items()})
    dns.answers[GOOD] = dns.answers["turning.example.test"] = [good.address]
    dns.answers["mixed.example.test"] = ["127.0.0.1", good.address, "::1", "10.0.0.1"]
    made = policy(authority.certificate, {}, [
        {"name": name.split(".")[0], "host": name, "ports": [good.port]} for name in names])
    made["resolver"]["upstream"] = [dns.address]
    del made["resolver"]["hosts"]
    return bench.edge(made)


def ask(edge, good, host, leg="connect"):
    return guest.get(edge, f"https://{host}:{good.port}/", edge.token(), leg)


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_name_from_dns_is_served(edge, good, leg):
    assert ask(edge, good, GOOD, leg).status == 200


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("name", DENIED)
def test_name_that_resolves_into_the_deny_set_is_denied(edge, good, trap, name, leg):
    answer = ask(edge, good, f"{name}.example.test", leg)
    assert_denied(answer, 403, "address_denied")
    assert trap.accepts == 0


def test_of_mixed_answers_only_the_good_one_is_dialled(edge, good, trap):
    for _ in range(10):
        assert ask(edge, good, "mixed.example.test").status == 200
    assert trap.accepts == 0


def test_name_that_does_not_resolve_is_unreachable(edge, good):
    answer = ask(edge, good, "absent.example.test")
    assert answer.status == 503 and answer.reason == "upstream_unreachable", answer


def test_rebinding_is_never_dialled(edge, good, dns, trap):
    """TTL 0, first a good address, then loopback: once the new answer is known it is a denial."""
    host = "turning.example.test"
    assert ask(edge, good, host).status == 200
    dns.answers[host] = ["127.0.0.1"]
    answer = wait_for(lambda: (a := ask(edge, good, host)).status != 200 and a,
                      "the new answer is noticed", 20, 0.3)
    assert_denied(answer, 403, "address_denied")
    holds_for(lambda: ask(edge, good, host).reason == "address_denied", "still denied", 1)
    assert trap.accepts == 0
    dns.answers[host] = [good.address]
    wait_for(lambda: ask(edge, good, host).status == 200, "the good answer is noticed", 20, 0.3)


def test_guests_names_are_never_asked_of_dns(edge, good, dns):
    """An unlisted name is refused without a lookup: DNS is a way out too."""
    before = len(dns.asked)
    stream, answer = guest.tunnel(edge, "secret.exfil.test:443", edge.token())
    assert stream is None and answer.reason == "destination_not_allowed"
    assert not [name for name, _ in dns.asked[before:] if "exfil" in name]
