"""Upstreams that cannot be verified never see a request, let alone a credential."""
import socket
import threading

import pytest

from harness import guest, pki
from harness.edge import policy
from harness.origin import Origin
from harness.world import assert_denied

FAULTS = ["expired", "wrong-name", "self-signed", "unknown-ca", "parent-name", "ip-only"]


def certificate(fault, authority, directory, host):
    if fault == "expired":
        return authority.expired(fault, [host])
    if fault == "self-signed":
        return authority.issue(fault, [host], self_signed=True)
    if fault == "unknown-ca":
        return pki.Authority(directory / "other-ca", "other CA").issue(fault, [host])
    names = {"wrong-name": "other.example.test", "parent-name": "example.test",
             "ip-only": "127.10.0.1"}
    return authority.issue(fault, [names[fault]])


class Silent:
    """Accepts and never answers, or is not there at all."""

    def __init__(self, answer=None):
        self.listener = socket.create_server(("127.10.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.kept = []
        self.answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if self.answer is not None:
                connection.sendall(self.answer)
                connection.close()
            else:
                self.kept.append(connection)

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def origins(bench, authority, directory):
    made = {}
    for fault in FAULTS:
        host = f"{fault}.example.test"
        made[fault] = Origin(certificate(fault, authority, directory, host))
        bench.origins.append(made[fault])
    made["plain"] = Silent(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    gone = socket.create_server(("127.10.0.1", 0))
    made["gone"] = type("Gone", (), {"port": gone.getsockname()[1]})
    gone.close()
    made["good"] = bench.origin("good", ["good.example.test"])
    bench.closers.append(made["plain"].close)
    return made


@pytest.fixture(scope="module")
def edge(bench, authority, origins):
    hosts = {f"{name}.example.test": "127.10.0.1" for name in origins}
    destinations = [{"name": name, "host": f"{name}.example.test", "ports": [made.port],
                     "credential": "key"} for name, made in origins.items()]
    credentials = [{"name": "key", "kind": "bearer",
                    "source": {"file": str(bench.secret("key"))}}]
    return bench.edge(policy(authority.certificate, hosts, destinations, credentials))


@pytest.mark.parametrize("leg", ["connect", "transparent"])
@pytest.mark.parametrize("fault", FAULTS)
def test_unverifiable_origin_sees_nothing(edge, origins, fault, leg):
    origin = origins[fault]
    answer = guest.get(edge, f"https://{fault}.example.test:{origin.port}/", edge.token(), leg)
    assert_denied(answer, 502, "upstream_tls")
    for told in ("verify_failed", "TLS_error", "OPENSSL", "SSL routines", "127.10.0.1"):
        assert told.lower() not in answer.body.decode().lower(), "TLS internals reach the guest"
    assert origin.accepts > 0 and origin.requests == []


def test_cleartext_origin_is_refused(edge, origins):
    answer = guest.get(edge, f"https://plain.example.test:{origins['plain'].port}/", edge.token())
    assert answer.status in (502, 503) and answer.reason in ("upstream_tls",
                                                             "upstream_unreachable"), answer


def test_absent_origin_is_unreachable(edge, origins):
    answer = guest.get(edge, f"https://gone.example.test:{origins['gone'].port}/", edge.token())
    assert_denied(answer, 503, "upstream_unreachable")


@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_good_origin_beside_them_is_served(edge, origins, leg):
    answer = guest.get(edge, f"https://good.example.test:{origins['good'].port}/", edge.token(),
                       leg)
    assert answer.status == 200


def test_refusals_stand_in_the_audit_as_outcomes(edge, origins):
    guest.get(edge, f"https://expired.example.test:{origins['expired'].port}/", edge.token())
    assert [r for r in edge.audit(phase="outcome", reason="upstream_tls") if r.denied]
