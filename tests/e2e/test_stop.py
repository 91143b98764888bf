"""A graceful stop: what was answered is on record, what still ran is cut and is on record too."""
import pytest

from harness import auditlog, guest, streams
from harness.world import settings, url


@pytest.fixture
def edge(bench, origin):
    made = bench.edge(settings(bench, origin), name=f"edge{len(bench.edges)}")
    yield made
    made.destroy()


def outcomes(edge, path):
    return [r for r in auditlog.reached_origin(edge.audit()) if r.path == path]


def test_a_stop_right_after_a_request_loses_no_outcome(edge, origin):
    """Envoy holds its log back for a tenth of a second."""
    for turn in range(8):
        path = f"/last/{turn}"
        token = edge.token()
        for leg in streams.LEGS:
            assert guest.get(edge, url(origin, path), token, leg).status == 200
        edge.stop()
        edge.start()
        assert len(outcomes(edge, path)) == len(streams.LEGS), path


def test_a_stream_that_outlasts_the_stop_is_cut_and_recorded(edge, origin):
    session = edge.session()
    opened = [streams.start(kind, edge, url(origin), leg, session["token"])
              for kind in ("websocket-busy", "download-h2", "upload") for leg in streams.LEGS]
    edge.stop()
    assert all(stream.broken() for stream in opened)
    for stream in opened:
        stream.close()
    edge.start()
    ended = [r for r in auditlog.reached_origin(edge.audit()) if r.sid == session["sid"]]
    assert len(ended) == len(opened)
    assert all(r.exeat["bytes_in"] + r.exeat["bytes_out"] > 4096 for r in ended)
