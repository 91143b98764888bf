"""P9: the decision server against a null one of the same kind, each alone on a Unix socket."""
import pathlib
import statistics

import grpc

from .children import Child
from .load import check, h2load, requests_for
from .machine import EDGE_CORE
from .rounds import Result, interleave, ratio_of

METHOD = "/envoy.service.auth.v3.Authorization/Check"
MILLION = 1_000_000
IN_FLIGHT = 32
DENIED_RESPONSE = 0x12  # the tag of CheckResponse.denied_response


class Server:
    def __init__(self, bench, kind, entries=0, style="queue"):
        name = f"{kind}-{style}-{entries}"
        self.socket = bench.directory / f"{name}.sock"
        self.body = bench.directory / f"{name}.grpc"
        self._child = Child(EDGE_CORE, [bench.program("decision_server"), self.socket, self.body,
                                        kind, style, entries], log=bench.directory / f"{name}.log")
        self._probe()
        self.rate = self.load(2000)

    def _probe(self):
        """grpc-status, which h2load does not look at, and an answer that allows."""
        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            call = channel.unary_unary(METHOD, lambda raw: raw, lambda raw: raw)
            answer = call(self.body.read_bytes()[5:], timeout=5)
        check(answer and answer[0] != DENIED_RESPONSE and DENIED_RESPONSE not in answer[:3],
              f"the call is not allowed: {answer[:80]}")

    def load(self, requests, *arguments):
        """Calls a second; the server has allowed every one."""
        before = self._child.counts()
        rate = h2load(requests, "-d", self.body, "-H", "content-type: application/grpc",
                      "-H", "te: trailers", f"--base-uri=unix:{self.socket}",
                      *(arguments or ("-c", 1, "-m", IN_FLIGHT)), f"http://localhost{METHOD}")
        after = self._child.counts()
        check([after[0] - before[0], after[1] - before[1]] == [requests, 0],
              f"{requests} calls, but allowed and denied went from {before} to {after}")
        return rate

    def p99_us(self, seconds, rate):
        """Of calls that begin at a fixed rate, whatever the answers do."""
        log = pathlib.Path(f"{self.socket}.times")
        log.unlink(missing_ok=True)
        self.load(requests_for(seconds, rate), "-c", 1, "-m", 1000, f"--rps={round(rate)}",
                  f"--log-file={log}")
        times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        return times[int(0.99 * (len(times) - 1))]

    def close(self):
        self._child.close()


def _throughput(bench, ours, null, id_, what, goal):
    arms = {"a": ours, "b": null}
    for server in arms.values():
        server.rate = server.load(requests_for(min(2, bench.plan.seconds), server.rate))

    def measure(name):
        server = arms[name]
        return server.load(requests_for(bench.plan.seconds, server.rate))
    return ratio_of(bench.plan, id_, what, goal, measure)


def _tail(bench, large, small):
    arms = {"a": large, "b": small}
    half = min(large.rate, small.rate) / 2
    figures, dropped, disturbed, used = interleave(
        bench.plan, lambda name: arms[name].p99_us(bench.plan.seconds, half))
    medians = [statistics.median(column) for column in zip(*used)]
    return Result("P9.p99", "its p99 at 10^6 entries / at 10", figures, 1.2, at_most=True,
                  dropped=dropped, disturbed=disturbed,
                  rates=f"{medians[0]:,.0f} us against {medians[1]:,.0f} us at {half:,.0f}/s")


def run(bench, _):
    servers = []

    def serve(*arguments, **named):
        servers.append(Server(bench, *arguments, **named))
        return servers[-1]
    try:
        large, null = serve("ours", MILLION), serve("null")
        yield _throughput(bench, large, null, "P9",
                          "decision server at 10^6 entries, audit off / null gRPC server", 0.90)
        yield _tail(bench, large, serve("ours", 10))
        if bench.styles:
            callback = serve("ours", MILLION, style="callback")
            yield _throughput(bench, large, callback, "P9.style",
                              "decision server from a queue / by callbacks", 1.0)
            yield _throughput(bench, null, serve("null", style="callback"), "P9.null-style",
                              "null server from a queue / by callbacks", 1.0)
    finally:
        for server in servers:
            server.close()
