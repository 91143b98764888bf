"""The policy most topics share: four hosts on one origin, each with its own rule."""
from .edge import policy

SECRETS = {"api": "sk-real-3f9d1c7a5e", "git": "ghp-real-77aa01", "basic": "pw-real-5150"}


def credentials(bench):
    return [
        {"name": "api", "kind": "header", "header": "x-api-key",
         "source": {"file": str(bench.secret("api", SECRETS["api"]))}},
        {"name": "git", "kind": "bearer",
         "source": {"file": str(bench.secret("git", SECRETS["git"]))}},
        {"name": "basic", "kind": "basic", "username": "x-access-token",
         "source": {"file": str(bench.secret("basic", SECRETS["basic"]))}},
    ]


def destinations(port):
    return [
        {"name": "api", "host": "api.example.test", "ports": [port], "credential": "api"},
        {"name": "git", "host": "git.example.test", "ports": [port], "credential": "git",
         "grant": "git"},
        {"name": "open", "host": "open.example.test", "ports": [port],
         "allow": [{"methods": ["GET", "HEAD"], "path": "/read/**"},
                   {"methods": ["POST"], "path": "/write"}]},
        {"name": "limited", "host": "limited.example.test", "ports": [port],
         "limits": {"requests_per_minute": 6, "burst": 3}},
    ]


def settings(bench, origin, **more):
    """The shared policy; `more` replaces or adds top-level keys."""
    hosts = {d["host"]: origin.address for d in destinations(origin.port)}
    made = policy(bench.authority.certificate, hosts, destinations(origin.port),
                  credentials(bench))
    made.update(more)
    return {key: value for key, value in made.items() if value is not None}


def url(origin, path="/", host="api.example.test"):
    return f"https://{host}:{origin.port}{path}"


def assert_denied(response, status, reason, token=None):
    """A denial in the contract's form, with nothing secret in it."""
    assert (response.status, response.reason) == (status, reason), response
    assert response.header("content-type") == "application/json"
    body = response.json
    assert body["error"] == "denied" and body["reason"] == reason
    assert isinstance(body["detail"], str) and body["detail"]
    assert isinstance(body["request_id"], str) and body["request_id"]
    assert isinstance(body["retry"], bool) and isinstance(body["retry_after_s"], int)
    if not body["retry"]:
        assert body["retry_after_s"] == 0
    text = response.body.decode() + str(response.headers)
    for secret in [*SECRETS.values(), *([token] if token else [])]:
        assert secret not in text
    if status == 407:
        assert "Basic" in response.header("proxy-authenticate")


def assert_no_secret(response):
    """No credential's bytes on the guest's side of the edge, outside an origin's own echo."""
    for secret in SECRETS.values():
        assert secret not in str(response.headers)
