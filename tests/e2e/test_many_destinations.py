"""A policy of a thousand destinations: each is found and judged as if it were the only one."""
import pytest

from harness import guest, many
from harness.world import SECRETS, assert_denied, url

COUNT = 1000
LAST = COUNT - 1


@pytest.fixture(scope="module")
def crowd(bench):
    served = [many.host(index) for index in (0, 1, 500, 501, LAST)]
    return bench.origin("crowd", served)


@pytest.fixture(scope="module")
def edge(bench, crowd):
    made = bench.edge({}, start=False)
    write(made, bench, crowd)
    made.start()
    return made


def write(edge, bench, crowd, last_grant="g0"):
    secret = bench.secret("crowd", SECRETS["api"])
    edge.policy_file.write_text(many.policy_text(COUNT, bench.authority.certificate, secret,
                                                 crowd.port, last_grant))


@pytest.mark.parametrize("index", [0, 1, 500, 501, LAST])
@pytest.mark.parametrize("leg", ["connect", "transparent"])
def test_each_of_them_is_reached_with_its_own_credential(edge, crowd, leg, index):
    answer = guest.get(edge, url(crowd, f"/read/{index}", many.host(index)),
                       edge.token(*many.grants(index, COUNT)), leg)
    assert answer.status == 200, answer
    attached = crowd.seen(f"/read/{index}")[-1].header("authorization")
    assert attached == (f"Bearer {SECRETS['api']}" if many.has_credential(index) else None)


def test_the_rules_of_each_hold_for_it_alone(edge, crowd):
    token = edge.token("g3")
    assert guest.get(edge, url(crowd, "/read/a", many.host(500)), token).status == 200
    # 501 wants the grant g1; the last one g0.
    assert_denied(guest.get(edge, url(crowd, "/read/a", many.host(501)), token), 403,
                  "grant_missing", token)
    assert_denied(guest.get(edge, url(crowd, "/read/a", many.host(LAST)), token), 403,
                  "grant_missing", token)


def test_a_host_beside_them_is_refused(edge, crowd):
    token = edge.token()
    _, answer = guest.tunnel(edge, f"{many.host(COUNT)}:{crowd.port}", token)
    assert (answer.status, answer.reason) == (403, "destination_not_allowed")


def test_a_changed_line_counts_for_the_next_request(edge, bench, crowd):
    token = edge.token("g0")
    target = url(crowd, "/read/changed", many.host(LAST))
    assert guest.get(edge, target, token).status == 200
    write(edge, bench, crowd, last_grant="another")
    applied = edge.cli("policy", "apply", edge.policy_file)
    assert applied["revision"] == 2
    assert_denied(guest.get(edge, target, token), 403, "grant_missing", token)
    assert guest.get(edge, url(crowd, "/read/still", many.host(0)), token).status == 200
