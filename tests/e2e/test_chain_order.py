"""Order is the gate: the same five filters literally in one list, then each removed or swapped.

The product puts the injector in the destination's cluster, where nothing can precede the chain.
Here all five stand in one downstream list, so that each permutation can be tried. A guard is one
question whose answer is yes for the right chain; every removal and every swap must turn the guard
named for it to no, else that gate is not tested at all.
"""
import itertools
import json
import subprocess
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from harness import chain_config, h1client, tokens, transport
from harness.chain_authz import ChainAuthz
from harness.chain_config import CREDENTIAL, FULL, LIMIT
from harness.edge import envoy
from harness.poll import wait_for

SWAPS = list(itertools.combinations(range(len(FULL)), 2))


def swapped(first, second):
    order = list(FULL)
    order[first], order[second] = order[second], order[first]
    return tuple(order)


def without(name):
    return tuple(f for f in FULL if f != name)


class Chain:
    """One listener of the fixture, with the questions to ask it."""

    def __init__(self, fixture, port):
        self.fixture, self.port = fixture, port
        self.origin = fixture.origin

    def token(self, sid=None, grants=("granted",), key=None):
        now = int(time.time())
        return tokens.sign(key or self.fixture.key, {"alg": "ES256", "kid": "k1"}, {
            "iss": "chain", "aud": "exeat", "sid": sid or str(uuid.uuid4()), "iat": now,
            "nbf": now, "exp": now + 600, "grants": list(grants)})

    def ask(self, token, prefix=""):
        """(status, the request as the origin saw it or None, its unique path)."""
        path = f"{prefix}/{uuid.uuid4()}"
        client = h1client.H1(transport.dial(f"127.0.0.1:{self.port}"))
        status = client.request("GET", path, "origin", [("authorization", f"Bearer {token}"),
                                                        ("x-credential", "guest's own")]).status
        client.close()
        seen = self.origin.seen(path)
        return status, seen[0] if seen else None, path

    def refused(self, token, status, prefix=""):
        answer, seen, _ = self.ask(token, prefix)
        return answer == status and seen is None

    def times_asked(self, path):
        return sum(asked == path for asked, _, _ in self.fixture.authz.asked)

    # -- the guards ----------------------------------------------------------------------------

    def forged_token_is_refused(self):
        return self.refused(self.token(key=tokens.new_key()), 401, "/ungated")

    def revoked_session_is_refused(self):
        return self.refused(self.token(sid="revoked"), 403)

    def missing_grant_is_refused(self):
        return self.refused(self.token(grants=()), 403, "/ungated")

    def session_over_its_limit_is_refused(self):
        token = self.token()
        return [self.ask(token, "/ungated")[0] for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]

    def allowed_request_carries_the_credential(self):
        status, seen, _ = self.ask(self.token())
        return status == 200 and seen.header("x-credential") == CREDENTIAL

    def unverified_request_is_not_asked_about(self):
        status, _, path = self.ask(self.token(key=tokens.new_key()))
        return status == 401 and self.times_asked(path) == 0

    def verified_session_passes(self):
        return self.ask(self.token())[0] == 200

    def every_verified_request_is_asked_about(self):
        """A refusal by a later gate still has its intent on record."""
        status, _, path = self.ask(self.token(), "/ungranted")
        return status == 403 and self.times_asked(path) == 1

    def request_over_its_limit_is_asked_about(self):
        token = self.token()
        path = [self.ask(token)[2] for _ in range(LIMIT + 1)][-1]
        return self.times_asked(path) == 1

    def refused_request_costs_no_token(self):
        token = self.token()
        for _ in range(LIMIT + 1):
            self.ask(token, "/ungranted")
        return self.ask(token)[0] == 200

    def revoked_request_costs_no_token(self):
        """Two sessions cannot share a bucket, so this asks whether the gate spoke first."""
        token = self.token(sid="revoked")
        return [self.ask(token)[0] for _ in range(LIMIT + 2)] == [403] * (LIMIT + 2)

    def session_is_limited_by_its_own_bucket(self):
        for _ in range(LIMIT):
            self.ask(self.token())
        return self.ask(self.token())[0] == 200

    def _refused_without_credential(self, token, expected, prefix=""):
        status, seen, path = self.ask(token, prefix)
        return status == expected and seen is None and \
            self.fixture.logged_credential(path) == "guest's own"

    def unverified_request_never_carries_the_credential(self):
        return self._refused_without_credential(self.token(key=tokens.new_key()), 401)

    def revoked_request_never_carries_the_credential(self):
        return self._refused_without_credential(self.token(sid="revoked"), 403)

    def ungranted_request_never_carries_the_credential(self):
        return self._refused_without_credential(self.token(), 403, "/ungranted")

    def limited_request_never_carries_the_credential(self):
        token = self.token()
        for _ in range(LIMIT):
            self.ask(token)
        return self._refused_without_credential(token, 429)

    def guard_does_not_see_the_credential(self):
        _, _, path = self.ask(self.token())
        return [carried for asked, _, carried in self.fixture.authz.asked if asked == path] \
            == ["guest's own"]


# Which guard stands behind each gate, with the other gates held open by configuration.
REMOVALS = {
    "jwt_authn": Chain.forged_token_is_refused,
    "ext_authz": Chain.revoked_session_is_refused,
    "rbac": Chain.missing_grant_is_refused,
    "ratelimit": Chain.session_over_its_limit_is_refused,
    "credential_injector": Chain.allowed_request_carries_the_credential,
}
OPENED = {
    "jwt_authn": ("rbac", "ratelimit"), "ext_authz": ("rbac", "ratelimit"),
    "rbac": ("ratelimit",), "ratelimit": ("rbac",), "credential_injector": ("ratelimit",),
}
# Which guard notices that two places were swapped.
SWAP_GUARDS = {
    ("jwt_authn", "ext_authz"): Chain.unverified_request_is_not_asked_about,
    ("jwt_authn", "rbac"): Chain.verified_session_passes,
    ("jwt_authn", "ratelimit"): Chain.session_is_limited_by_its_own_bucket,
    ("jwt_authn", "credential_injector"): Chain.unverified_request_never_carries_the_credential,
    ("ext_authz", "rbac"): Chain.every_verified_request_is_asked_about,
    ("ext_authz", "ratelimit"): Chain.request_over_its_limit_is_asked_about,
    ("ext_authz", "credential_injector"): Chain.guard_does_not_see_the_credential,
    ("rbac", "ratelimit"): Chain.refused_request_costs_no_token,
    ("rbac", "credential_injector"): Chain.ungranted_request_never_carries_the_credential,
    ("ratelimit", "credential_injector"): Chain.limited_request_never_carries_the_credential,
}
ALL_GUARDS = sorted({*REMOVALS.values(), *SWAP_GUARDS.values(),
                     Chain.revoked_request_costs_no_token,
                     Chain.revoked_request_never_carries_the_credential},
                    key=lambda guard: guard.__name__)


def jwks(key):
    numbers = key.public_key().public_numbers()
    x, y = (tokens.b64(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
                                 "kid": "k1", "x": x, "y": y}]})


class Fixture:
    def __init__(self, directory, origin, trust):
        self.origin, self.key = origin, ec.generate_private_key(ec.SECP256R1())
        self.log_path = directory / "access.log"
        self.authz = ChainAuthz(directory / "authz.sock", {"revoked"})
        orders = {("full",): (FULL, ())}
        for name in FULL:
            orders["closed", name] = (FULL, OPENED[name])
            orders["without", name] = (without(name), OPENED[name])
        for first, second in SWAPS:
            orders["swapped", FULL[first], FULL[second]] = (swapped(first, second), ())
        self.ports = dict(zip(orders, chain_config.free_ports(len(orders))))
        config = directory / "envoy.json"
        config.write_text(chain_config.bootstrap(
            [("-".join(k), self.ports[k], *orders[k]) for k in orders],
            directory / "authz.sock",
            chain_config.origin_cluster(origin.address, origin.port, trust), jwks(self.key),
            self.log_path))
        self.stderr = open(directory / "envoy.log", "wb")
        self.process = subprocess.Popen([envoy(), "-c", str(config), "--concurrency", "1",
                                         "--use-dynamic-base-id", "--log-level", "warning",
                                         "--file-flush-interval-msec", "50"],
                                        stderr=self.stderr)
        wait_for(self._answers, "the fixture's Envoy answers", 20)

    def _answers(self):
        assert self.process.poll() is None, open(self.stderr.name).read()[-3000:]
        try:
            return Chain(self, self.ports["full",]).ask("x")[0] == 401
        except OSError:
            return False

    def chain(self, *key):
        return Chain(self, self.ports[key])

    def logged_credential(self, path):
        def line():
            for text in self.log_path.read_text().splitlines():
                entry = json.loads(text)
                if entry["path"] == path:
                    return entry
            return None
        return wait_for(line, f"the access log of {path}", 15)["credential"]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.authz.close()
        self.stderr.close()


@pytest.fixture(scope="module")
def fixture(directory, origin, authority):
    made = Fixture(directory, origin, authority.certificate)
    yield made
    made.close()


@pytest.mark.parametrize("guard", ALL_GUARDS, ids=lambda g: g.__name__)
def test_the_right_chain_holds_every_guard(fixture, guard):
    assert guard(fixture.chain("full")), "the chain in its right order does not hold this"


@pytest.mark.parametrize("name", FULL)
def test_a_removed_filter_opens_its_gate(fixture, name):
    guard = REMOVALS[name]
    assert guard(fixture.chain("closed", name)), "the guard fails although the filter is there"
    assert not guard(fixture.chain("without", name)), "nothing notices that the filter is gone"


@pytest.mark.parametrize("pair", SWAP_GUARDS, ids="-".join)
def test_a_swap_is_noticed(fixture, pair):
    assert not SWAP_GUARDS[pair](fixture.chain("swapped", *pair)), "nothing notices the swap"


def test_the_injector_cannot_stand_behind_the_router(fixture, directory):
    config = json.loads((directory / "envoy.json").read_text())
    listener = config["static_resources"]["listeners"][0]
    filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    filters[-1], filters[-2] = filters[-2], filters[-1]
    (directory / "behind.json").write_text(json.dumps(config))
    done = subprocess.run([envoy(), "--mode", "validate", "-c", str(directory / "behind.json"),
                           "--use-dynamic-base-id"], capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "terminal filter" in done.stderr + done.stdout
