"""`authorize: connection`: Check is asked at CONNECT, and Envoy alone stands over what follows."""
import json
import signal
import threading
import time

import pytest

from harness import guest, h2client, streams, tokens
from harness.poll import wait_for
from harness.streams import BREAKS
from harness.world import SECRETS, assert_denied, destinations, settings, url

HTTP = ["1.1", "2"]


def once(origin, *names):
    """The shared destinations, those named asked about once a tunnel."""
    return [{**d, "authorize": "connection"} if d["name"] in names else d
            for d in destinations(origin.port)]


@pytest.fixture(scope="module")
def wanted(bench, origin):
    return settings(bench, origin, destinations=once(origin, "api", "open", "limited"))


@pytest.fixture(scope="module")
def edge(bench, wanted):
    return bench.edge(wanted)


class Tunnel:
    """A tunnel to a host, and how many questions it has caused."""

    def __init__(self, edge, origin, token, host="api.example.test", http="1.1", sni=None):
        self.edge, self.origin, self.host = edge, origin, host
        self._before = edge.metric("exeat_decisions_total")
        self.client, refused = guest.open_client(edge, url(origin, host=host), token, http=http,
                                                 sni=sni)
        assert refused is None, refused

    def ask(self, path="/", method="GET", host=None, headers=()):
        return self.client.request(method, path, f"{host or self.host}:{self.origin.port}",
                                   headers)

    @property
    def questions(self):
        return self.edge.metric("exeat_decisions_total") - self._before


@pytest.fixture
def tunnel(edge, origin):
    made = []

    def opened(token, *arguments, **options):
        made.append(Tunnel(edge, origin, token, *arguments, **options))
        return made[-1]
    yield opened
    for one in made:
        one.client.close()


@pytest.mark.parametrize("http", HTTP)
def test_one_question_for_a_tunnel_and_the_credential_is_attached(edge, origin, tunnel, http):
    mine = tunnel(edge.token(), http=http)
    for path in ("/one", "/two?with=query", "/three/x.tar.gz"):
        assert mine.ask(path).status == 200
        assert origin.requests[-1].header("x-api-key") == SECRETS["api"]
    assert mine.questions == 1


def test_a_web_socket_in_such_a_tunnel_needs_no_question_either(edge, origin):
    before = edge.metric("exeat_decisions_total")
    stream = streams.start("websocket-busy", edge, url(origin), "connect", edge.token())
    assert stream.lives()
    assert edge.metric("exeat_decisions_total") - before == 1
    stream.close()


def test_other_destinations_and_the_other_leg_are_asked_about_each_request(edge, origin, tunnel):
    session = edge.session("git")
    mine = tunnel(session["token"], "git.example.test")
    claims = [("x-exeat-vetted", f"git.example.test:{origin.port}"),
              ("exeat.vetted", f"git.example.test:{origin.port}")]
    assert [mine.ask(headers=claims).status for _ in range(2)] == [200, 200]
    assert mine.questions == 3
    before = edge.metric("exeat_decisions_total")
    forged = [("x-exeat-vetted", f"api.example.test:{origin.port}")]
    for headers in ([], forged):
        answer = guest.get(edge, url(origin), session["token"], "transparent", headers=headers)
        assert answer.status == 200
    assert edge.metric("exeat_decisions_total") == before + 2


@pytest.mark.parametrize("sni, host", [
    ("open.example.test", "api.example.test"), ("api.example.test", "open.example.test"),
    ("open.example.test", "open.example.test"), ("git.example.test", "git.example.test")])
def test_a_tunnel_is_vetted_for_one_destination(edge, origin, tunnel, sni, host):
    mine = tunnel(edge.token("git"), sni=sni)
    before = len(origin.requests)
    forged = [("x-exeat-vetted", f"{host}:{origin.port}"), ("x-exeat-sni", host)]
    for headers in ([], forged):
        assert_denied(mine.ask("/read/x", host=host, headers=headers), 421, "authority_mismatch")
    assert mine.questions == 3
    assert len(origin.requests) == before


def test_tunnels_on_one_connection_are_vetted_each_for_itself(edge, origin):
    mine, other = edge.session(), edge.session("git")
    proxy = h2client.proxy_connection(edge.proxy, None)
    before = edge.metric("exeat_decisions_total")
    clients = []
    for session, host in ((mine, "api"), (other, "git"), (other, "open")):
        stream, answer = h2client.open_tunnel(proxy, f"{host}.example.test:{origin.port}",
                                              [guest.basic(session["token"])])
        assert answer.status == 200
        clients.append(guest.speak(edge, stream, f"{host}.example.test", "1.1"))
    asked = []
    for client, host, path in [*zip(clients, ("api", "git", "open"), ("/", "/", "/read/x"))] * 2:
        already = edge.metric("exeat_decisions_total")
        answer = client.request("GET", path, f"{host}.example.test:{origin.port}", [])
        assert answer.status == 200
        asked.append(edge.metric("exeat_decisions_total") - already)
    assert asked == [0, 1, 0] * 2
    assert edge.metric("exeat_decisions_total") - before == 3 + 2
    proxy.close()


def test_a_request_that_carries_a_token_of_its_own_is_asked_about(edge, origin, tunnel):
    session, other = edge.session(), edge.session()
    mine = tunnel(session["token"])

    def beside(*values):
        return mine.ask(headers=[("x-exeat-session", value) for value in values])
    assert beside(session["token"]).status == 200
    assert mine.questions == 2
    assert_denied(beside(other["token"]), 403, "token_conflict", other["token"])
    assert mine.questions == 3
    for forged in ([session["token"][:-6] + "AAAAAA"], [""], ["\xff"],
                   [session["token"], other["token"]]):
        assert beside(*forged).status in (400, 401), forged
    # Where a real key would stand there is no token.
    assert mine.ask(headers=[("authorization", f"Bearer {other['token']}")]).status == 200
    assert mine.questions <= 7


@pytest.mark.parametrize("method, path, status, reason, asked", [
    ("GET", "/read/x", 200, None, 0), ("HEAD", "/read/?q=/../", 200, None, 0),
    ("POST", "/write", 200, None, 0), ("POST", "/write?a", 200, None, 0),
    ("GET", "/read/%20x", 200, None, 1), ("GET", "/read/.x", 200, None, 1),
    ("GET", "/read", 403, "path_not_allowed", 1), ("GET", "/", 403, "path_not_allowed", 1),
    ("GET", "/writes", 403, "path_not_allowed", 1),
    ("POST", "/read/x", 403, "method_not_allowed", 1),
    ("GET", "/write?/read/", 403, "method_not_allowed", 1),
    ("TRACE", "/read/x", 403, "method_not_allowed", 1),
    ("GET", "/read/..;/x", 403, "path_not_allowed", 1),
    ("GET", "/read/%2e%2e/write", 403, "method_not_allowed", 1)])
def test_what_is_not_plainly_allowed_is_asked_about_and_refused(edge, tunnel, method, path, status,
                                                               reason, asked):
    mine = tunnel(edge.token(), "open.example.test")
    answer = mine.ask(path, method)
    assert (answer.status, answer.reason) == (status, reason)
    if reason and method != "HEAD":
        assert_denied(answer, status, reason)
    assert mine.questions == 1 + asked


def test_limits_count_what_is_not_asked_about(edge, tunnel):
    mine = tunnel(edge.token(), "limited.example.test")
    answers = [mine.ask() for _ in range(5)]
    assert [a.status for a in answers] == [200] * 3 + [429] * 2
    assert_denied(answers[-1], 429, "rate_limited")
    assert mine.questions == 1


def test_a_credential_that_is_withdrawn_is_missed_without_a_question(bench, edge, tunnel):
    mine = tunnel(edge.token())
    try:
        bench.secret("api", "")
        wait_for(lambda: mine.ask().reason == "credential_unavailable", "it is missed")
        assert mine.questions == 1
    finally:
        bench.secret("api", SECRETS["api"])
    wait_for(lambda: mine.ask().status == 200, "it is back")


def test_audit_has_one_intent_for_the_tunnel_and_each_outcome_names_it(edge, tunnel):
    session = edge.session()
    mine = tunnel(session["token"])
    ids = [mine.ask(f"/audited/{n}").header("x-request-id") for n in range(2)]
    mine.ask("/asked/.about")

    def outcomes():
        found = [r for r in edge.audit(sid=session["sid"], phase="outcome") if r.is_request]
        return len(found) == 3 and found
    done = wait_for(outcomes, "the outcomes")
    intents = edge.audit(sid=session["sid"], phase="intent")
    assert [r.method for r in intents] == ["CONNECT", "GET"]
    assert "vetted" in intents[0]["message"]
    assert {r.exeat["vetted_by"] for r in done} == {intents[0].request_id}
    assert [r.request_id for r in done][:2] == ids
    assert all(r.allowed and r.exeat["credential"] == "api" for r in done)
    assert done[2].request_id == intents[1].request_id


def selectors(session):
    return {"sid": [session["sid"]], "jti": ["--jti", tokens.parts(session["token"])[1]["jti"]],
            "sub": ["--sub", session["sub"]], "all": ["--all"]}


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("by", ["sid", "jti", "sub", "all"])
def test_a_revoke_is_acknowledged_when_the_tunnels_are_gone(edge, origin, tunnel, by, http):
    session = {**edge.session(sub=f"once-{by}"), "sub": f"once-{by}"}
    selector = selectors(session)[by]
    both = [tunnel(session["token"], http=http) for _ in range(2)]
    other = tunnel(edge.token())
    assert all(one.ask().status == 200 for one in [*both, other])
    before = len(origin.requests)
    acknowledged, cut = edge.revoke(*selector, *(["--yes"] if by == "all" else []))
    try:
        assert acknowledged["in_force"] is True
        assert cut["uncut"] == 0 and cut["cut"] >= 2
        for one in both:
            with pytest.raises(BREAKS):
                one.ask()
        assert len(origin.requests) == before
        assert guest.get(edge, url(origin), session["token"]).reason == "session_revoked"
        if by != "all":
            assert other.ask().status == 200
    finally:
        edge.cli("session", "restore", *selector, "--reason", "test")
    assert tunnel(session["token"]).ask().status == 200


def test_no_unasked_request_is_answered_that_began_after_the_acknowledgement(edge, origin):
    """In tunnels that stand, and in those that are opened while the revoke runs."""
    mine, stop = edge.session(), threading.Event()
    answered, refused = [], set()

    def hammer(requests_each):
        while not stop.is_set():
            client, answer = guest.open_client(edge, url(origin), mine["token"])
            if client is None:
                refused.add(answer.reason)
                return
            for _ in range(requests_each):
                start = time.monotonic()
                answer = client.request("GET", "/", f"api.example.test:{origin.port}")
                if answer.status == 200:
                    answered.append(start)
                else:
                    refused.add(answer.reason)
            client.close()

    def hammer_until_refused(requests_each):
        while not stop.is_set() and "session_revoked" not in refused:
            try:
                hammer(requests_each)
            except BREAKS:
                pass
    threads = [threading.Thread(target=hammer_until_refused, args=(each,))
               for each in (1, 1, 2, 1000, 1000, 1000)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answered) > 200, "traffic")
    edge.revoke(mine["sid"])
    acknowledged = time.monotonic()
    wait_for(lambda: "session_revoked" in refused, "it is refused")
    stop.set()
    for thread in threads:
        thread.join(10)
    assert [start for start in answered if start > acknowledged] == []
    assert refused == {"session_revoked"}


def test_envoy_itself_refuses_a_revoked_session_that_could_not_be_cut(edge, origin, tunnel):
    session, other = edge.session(), edge.session()
    mine, bystander = tunnel(session["token"]), tunnel(other["token"])
    assert mine.ask().status == bystander.ask().status == 200
    guardian = edge.roles()["guardian"]
    guardian.send(signal.SIGSTOP)  # who would have cut it
    try:
        done = edge.run("session", "revoke", session["sid"], "--json")
        assert done.returncode == 1
        answer = json.loads(done.stdout.splitlines()[0])
        assert answer["acknowledged"] is False and answer["in_force"] is False
        assert answer["durable"] is True and "not known to have ended" in answer["problem"]
        before = len(origin.requests)
        assert_denied(mine.ask(), 403, "session_revoked")
        assert len(origin.requests) == before
        assert bystander.ask().status == 200
        assert bystander.questions == 1
    finally:
        guardian.send(signal.SIGCONT)
    wait_for(lambda: edge.metric("exeat_vetted_sessions_listed") == 0, "the list is empty again")
    with pytest.raises(BREAKS):
        mine.ask()


def test_a_policy_takes_the_answer_back_at_once(edge, origin, wanted, tunnel):
    mine = tunnel(edge.token())
    assert mine.ask().status == 200
    assert mine.questions == 1
    try:
        edge.apply({**wanted, "destinations": destinations(origin.port)})
        assert mine.ask().status == 200
        assert mine.questions == 2
    finally:
        edge.apply(wanted)
    assert mine.ask().status == 200
    assert mine.questions == 2


def changed(wanted, **change):
    return {**wanted, "destinations": [{**d, **change} if d["name"] == "api" else d
                                       for d in wanted["destinations"]]}


@pytest.mark.parametrize("change", [{"grant": "git"}, {"allow": [{"methods": ["POST"]}]},
                                    {"host": "other.example.test"}],
                         ids=lambda change: next(iter(change)))
def test_a_policy_cuts_the_tunnels_of_what_it_may_no_longer_allow(edge, wanted, tunnel, change):
    mine, kept = tunnel(edge.token()), tunnel(edge.token(), "open.example.test")
    assert mine.ask().status == kept.ask("/read/x").status == 200
    hosts = wanted["resolver"]["hosts"]
    resolver = {**wanted["resolver"],
                "hosts": {**hosts, "other.example.test": [*hosts["api.example.test"]]}}
    try:
        edge.apply(changed({**wanted, "resolver": resolver}, **change))
        with pytest.raises(BREAKS):
            mine.ask()
        assert kept.ask("/read/x").status == 200
        assert kept.questions == 1
    finally:
        edge.apply(wanted)
    assert tunnel(edge.token()).ask().status == 200


def test_a_tunnel_ends_with_its_token(edge, tunnel):
    mine = tunnel(edge.token(ttl="1s"))
    assert mine.ask().status == 200

    def over():
        try:
            return mine.ask().reason == "token_expired"
        except BREAKS:
            return True
    wait_for(over, "the token's end", 15, 0.1)


def test_why_says_how_often_it_is_asked(edge, origin):
    done = edge.run("why", "GET", url(origin))
    assert "asked        once a tunnel" in done.stdout
    assert edge.cli("why", "--sid", edge.session()["sid"], "GET",
                    url(origin))["authorize"] == "connection"


def test_nothing_here_lost_what_tunnels_rely_on(edge):
    """Not even pushes of filters, routes and listeners while they were open."""
    assert edge.metric("exeat_vetted_cut_all_total") == 0
    assert edge.metric("exeat_xds_nacks_total") == 0
