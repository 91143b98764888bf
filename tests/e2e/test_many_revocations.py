"""A start with a million revocations: each of them is in force, and each can be taken back."""
import contextlib
import sqlite3
import time

import pytest

from harness import guest
from harness.streams import LEGS
from harness.world import assert_denied, settings, url

MILLION = 1_000_000


@pytest.fixture(scope="module")
def edge(bench, origin):
    return bench.edge(settings(bench, origin))


def fill(database, ids):
    """By SQL: through the command line a million would take the longer part of a minute."""
    until = int(time.time()) + 86_400
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        kind, = connection.execute("SELECT DISTINCT kind FROM revocation").fetchone()
        connection.executemany("INSERT INTO revocation (kind, id, reason, revoked_at,"
                               " expires_at) VALUES (?, ?, '', ?, ?)",
                               ((kind, name, until - 86_400, until) for name in ids))


def test_a_million_revocations_are_in_force_after_a_start(edge, origin):
    """How long that takes is measured by bench/run."""
    first, middle, last, kept = (edge.session() for _ in range(4))
    edge.revoke(first["sid"])
    edge.stop()
    ids = [f"revoked-{i:07d}" for i in range(1, MILLION)]
    ids[len(ids) // 2], ids[-1] = middle["sid"], last["sid"]
    fill(edge.state / "exeat.db", ids)
    edge.start()
    assert edge.metric("exeat_denylist_entries") == MILLION
    for mine in (first, middle, last):
        for leg in LEGS:
            assert_denied(guest.get(edge, url(origin), mine["token"], leg), 403,
                          "session_revoked")
    assert guest.get(edge, url(origin), kept["token"]).status == 200
    edge.cli("session", "restore", middle["sid"])
    assert guest.get(edge, url(origin), middle["token"]).status == 200
    assert guest.get(edge, url(origin), last["token"]).reason == "session_revoked"
