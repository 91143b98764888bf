"""The machine's clock is set forward and back: nothing that was revoked lives again, nothing that
lives is lost, and what has ended is refused for as long as the clock says so."""
import ssl
import subprocess

import pytest

from harness import guest, streams, transport
from harness.poll import holds_for, wait_for
from harness.streams import LEGS
from harness.world import settings, url

HOUR, DAY = 3600, 86_400
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
HOUSEKEEPING_S = 62  # it forgets what has ended once a minute


class Clock:
    """The wall clock of the edge's own processes, stepped by libfaketime. CLOCK_BOOTTIME and
    CLOCK_MONOTONIC go on, as they do when a real clock is set; Envoy keeps the machine's."""

    def __init__(self, directory):
        self._offset = directory / "clock-offset"
        self.step(0)
        library, = (line for line in subprocess.run(
            ["dpkg", "-L", "libfaketime"], check=True, capture_output=True,
            text=True).stdout.splitlines() if line.endswith("/libfaketimeMT.so.1"))
        self.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self._offset),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def step(self, seconds):
        """So far from the true time."""
        written = self._offset.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.rename(self._offset)


@pytest.fixture(scope="module")
def clock(directory):
    return Clock(directory)


@pytest.fixture(scope="module")
def edge(bench, origin, clock):
    return bench.edge(settings(bench, origin), env=clock.environment)


@pytest.fixture(autouse=True)
def true_time(clock):
    yield
    clock.step(0)


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """A guest has the clock of its machine, as Envoy has; these two do not see the step, so the
    guest does not compare it with certificates. Returns what makes one that does."""
    compares = transport.context

    def context(*arguments, **options):
        made = compares(*arguments, **options)
        made.verify_flags |= NO_CHECK_TIME
        return made
    monkeypatch.setattr(transport, "context", context)
    return compares


def reason(edge, origin, session, leg):
    """Why it is refused, or None when it is not."""
    answer = guest.get(edge, url(origin), session["token"], leg)
    return None if answer.status == 200 else answer.reason


def seen(edge, origin, session):
    return [reason(edge, origin, session, leg) for leg in LEGS]


ALLOWED, REVOKED, EXPIRED = ([why] * len(LEGS) for why in
                             (None, "session_revoked", "token_expired"))


def test_the_edge_itself_sees_the_step(edge, clock):
    made = edge.session()
    clock.step(DAY)
    assert edge.session()["expires_at"] - made["expires_at"] >= DAY - 60


@pytest.mark.parametrize("steps", [[HOUR, 0], [-HOUR, 0], [-HOUR, HOUR, 0], [30 * DAY, 0]],
                         ids=["forward", "back", "back-and-forward", "a-month"])
def test_a_step_revives_nothing_and_loses_nothing(edge, origin, clock, steps):
    roles = edge.roles()
    gone, kept = edge.session(), edge.session()
    edge.revoke(gone["sid"])
    for step in steps:
        clock.step(step)
        dead, live = seen(edge, origin, gone), seen(edge, origin, kept)
        assert None not in dead
        assert live == (ALLOWED if step == 0 else EXPIRED)
    assert seen(edge, origin, gone) == REVOKED
    assert {role: process.pid for role, process in edge.roles().items()} == \
        {role: process.pid for role, process in roles.items()}, "a lease is not wall time"


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_revoke_while_the_clock_is_wrong_holds_when_it_is_right(edge, origin, clock, step):
    mine = edge.session()
    clock.step(step)
    edge.revoke(mine["sid"])
    assert None not in seen(edge, origin, mine)
    clock.step(0)
    assert seen(edge, origin, mine) == REVOKED


def test_a_token_ends_by_the_clock_and_its_skew_and_its_streams_with_it(edge, origin, clock):
    """A lifetime of 15 minutes, and a skew of at most one."""
    mine = edge.session(ttl="15m")
    clock.step(14 * 60)
    assert seen(edge, origin, mine) == ALLOWED
    stream = streams.start("sse", edge, url(origin), "connect", mine["token"])
    clock.step(17 * 60)
    assert seen(edge, origin, mine) == EXPIRED
    wait_for(lambda: stream.reset, "what it had open is cut", 5)
    stream.close()


def test_leaves_from_a_time_that_is_yet_to_come_are_made_anew(edge, origin, clock, strict,
                                                              monkeypatch):
    mine = edge.session()
    assert seen(edge, origin, mine) == ALLOWED
    monkeypatch.setattr(transport, "context", strict)

    def takes_the_leaf():
        try:
            seen(edge, origin, mine)
        except ssl.SSLCertVerificationError as error:
            assert "not yet valid" in str(error)
            return False
        return True
    clock.step(30 * DAY)  # the leaf has ended, the next begins then
    wait_for(lambda: not takes_the_leaf(), "there is a leaf of that time", 5, 0.1)
    clock.step(0)
    wait_for(takes_the_leaf, "there is one of this time", 5, 0.1)
    assert seen(edge, origin, mine) == ALLOWED


def test_housekeeping_by_a_wrong_clock_forgets_nothing(edge, origin, clock):
    """As a machine that starts with a wrong clock, which is put right only later."""
    gone, kept = edge.session(), edge.session()
    edge.revoke(gone["sid"])
    entries = edge.metric("exeat_denylist_entries")
    edge.stop()
    clock.step(2 * DAY)
    edge.start()
    holds_for(lambda: edge.metric("exeat_denylist_entries") == entries, "all entries are kept",
              HOUSEKEEPING_S, 2)
    clock.step(0)
    assert seen(edge, origin, gone) == REVOKED
    assert seen(edge, origin, kept) == ALLOWED
