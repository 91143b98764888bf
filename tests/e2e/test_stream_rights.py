"""What else ends open streams: a token's end, a policy that takes away, and control's end."""
import copy
import time

import pytest

from harness import guest, streams
from harness.poll import wait_for
from harness.streams import LEGS
from harness.world import settings, url

SKEW_S = 1


@pytest.fixture(scope="module")
def wanted(bench, origin):
    return settings(bench, origin, sessions={"max_lifetime": "15m", "skew": f"{SKEW_S}s"})


@pytest.fixture(scope="module")
def edge(bench, wanted):
    bench.count_requests = False  # control's end takes the outcomes along
    return bench.edge(wanted)


@pytest.fixture
def opened(edge, origin):
    """Opens streams to a host, closes them, and waits until the edge has forgotten them."""
    made = []

    def open_one(session, leg, host="api.example.test", kind="websocket-busy"):
        made.append(streams.start(kind, edge, url(origin, host=host), leg, session["token"]))
        return made[-1]
    yield open_one
    for stream in made:
        stream.close()
    wait_for(lambda: edge.metric("exeat_open_streams") == 0, "nothing stays registered")


@pytest.mark.parametrize("leg", LEGS)
def test_a_stream_ends_by_itself_with_its_token(edge, opened, leg):
    short, long = edge.session(ttl="2s"), edge.session()
    begun = time.time()
    stream, bystander = opened(short, leg), opened(long, leg)
    counted = edge.metric("exeat_streams_cut_total")
    wait_for(lambda: stream.reset, "the stream ends with its token", 6)
    # Not before: the token was good for two whole seconds, minted just before `begun`.
    assert time.time() >= begun + 1 + SKEW_S - 0.1
    assert stream.broken(), repr(stream.problem)
    assert bystander.lives()
    each = 2 if leg == "connect" else 1
    wait_for(lambda: edge.metric("exeat_streams_cut_total") == counted + each, "both are counted")
    wait_for(lambda: [r for r in edge.audit(reason="token_expired")
                      if r.exeat.get("activity") == "streams_cut"], "the cut is on record")


def test_a_renewed_token_does_not_prolong_a_stream_of_the_old_one(edge, opened):
    short = edge.session(ttl="2s")
    stream = opened(short, "connect")
    renewed = edge.cli("session", "renew", short["sid"])
    wait_for(lambda: stream.reset, "the stream ends with the token that opened it", 6)
    assert opened({"token": renewed["token"]}, "connect").lives()


def changed(wanted, change):
    made = copy.deepcopy(wanted)
    change({d["name"]: d for d in made["destinations"]}, made)
    return made


def without(name):
    def change(_, made):
        made["destinations"] = [d for d in made["destinations"] if d["name"] != name]
    return change


def needs_a_grant(by_name, _):
    by_name["api"]["grant"] = "git"


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("change", [without("api"), needs_a_grant],
                         ids=["destination removed", "grant added"])
def test_a_policy_ends_what_it_no_longer_allows_and_nothing_else(edge, opened, wanted, change,
                                                                 leg):
    mine, holder = edge.session(), edge.session("git")
    gone, kept = opened(mine, leg), opened(holder, leg, "git.example.test")
    counted = edge.metric("exeat_streams_cut_total")
    try:
        edge.apply(changed(wanted, change))
        assert gone.reset and gone.broken(), repr(gone.problem)
        assert kept.lives()
        each = 2 if leg == "connect" else 1
        assert edge.metric("exeat_streams_cut_total") == counted + each
        assert edge.metric("exeat_streams_uncut_total") == 0
    finally:
        edge.apply(wanted)
    assert opened(mine, leg).lives()


def test_who_holds_the_added_grant_keeps_the_stream(edge, opened, wanted):
    mine, holder = edge.session(), edge.session("git")
    gone, kept = opened(mine, "connect"), opened(holder, "connect")
    try:
        edge.apply(changed(wanted, needs_a_grant))
        assert gone.reset
        assert kept.lives()
    finally:
        edge.apply(wanted)


@pytest.mark.parametrize("kind,leg", streams.ANSWERS)
def test_an_answer_that_was_not_read_is_lost_with_its_token(edge, origin, leg, kind):
    short = edge.session(ttl="2s")
    with streams.unread_answer(edge, origin, leg, short, kind) as unread:
        wait_for(lambda: unread.queued() == 0, "it is dropped with its token", 6)
        unread.assert_lost()


@pytest.mark.parametrize("kind,leg", streams.ANSWERS)
def test_an_answer_that_was_not_read_is_lost_with_its_right(edge, origin, wanted, leg, kind):
    mine = edge.session()
    with streams.unread_answer(edge, origin, leg, mine, kind) as unread:
        try:
            edge.apply(changed(wanted, without("api")))
            unread.assert_lost()
        finally:
            edge.apply(wanted)


def allows(*rules):
    def change(by_name, _):
        by_name["api"]["allow"] = list(rules)
    return change


SOCKETS = {"methods": ["GET"], "path": "/ws"}


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("rule", [{**SOCKETS, "path": "/other/**"}, {**SOCKETS, "methods": ["POST"]}],
                         ids=["path", "method"])
def test_a_narrowed_rule_ends_what_it_permitted_and_nothing_else(edge, opened, wanted, leg, rule):
    mine = edge.session()
    reading = {"methods": ["GET"], "path": "/sse"}
    edge.apply(changed(wanted, allows(SOCKETS, reading)))
    try:
        gone, kept = opened(mine, leg), opened(mine, leg, kind="sse")
        edge.apply(changed(wanted, allows(rule, reading)))
        assert gone.reset and gone.broken(), repr(gone.problem)
        assert kept.lives()
        edge.apply(wanted)
        assert kept.lives()
        [record] = [r for r in edge.audit(reason="policy_applied")
                    if r.exeat.get("activity") == "streams_cut"][-1:]
        assert record.allowed and "open streams ended" in str(record)
    finally:
        edge.apply(wanted)


def test_a_closed_posture_ends_everything(edge, opened, wanted):
    both = [opened(edge.session(), leg) for leg in LEGS]
    try:
        edge.apply({**wanted, "posture": "deny-all"})
        assert all(stream.reset for stream in both)
    finally:
        edge.apply(wanted)
    assert opened(edge.session(), "connect").lives()


def test_an_edge_without_its_control_resets_everything_and_recovers(edge, origin):
    mine = edge.session()
    open_ones = [streams.start(kind, edge, url(origin), leg, mine["token"])
                 for kind in ("websocket-idle", "download-h1", "upload") for leg in LEGS]
    open_ones.append(streams.bare_tunnel(edge, url(origin), mine["token"]))
    roles = edge.roles()
    roles["control"].kill()
    roles["control"].wait_gone(5)
    roles["envoy"].wait_gone(0.9)  # the lease would leave it a second
    for stream in open_ones:
        assert stream.broken() or isinstance(stream.problem, streams.Completed)
        stream.close()

    def answers():
        try:
            return guest.get(edge, url(origin), mine["token"]).status == 200
        except streams.BREAKS:
            return False
    wait_for(answers, "the edge recovers by itself", 20, 0.1)
    other = edge.session()
    again = streams.start("websocket-idle", edge, url(origin), "connect", other["token"])
    _, told = edge.revoke(other["sid"])
    assert told["cut"] == 2 and told["uncut"] == 0 and again.reset
    again.close()
