"""Pulls at a pace: as a fleet asks, and not as a full queue does."""

from __future__ import annotations

import http.client
import itertools
import statistics
import time
from urllib.parse import urlsplit

from tests.bench.served import Served
from tests.client import pull_path

CONNECTIONS = 16


def paced(served: Served, nodes: int, per_second: int, seconds: int) -> dict[str, object]:
    """Milliseconds of CPU a pull by part, in medians of a second's latencies too."""
    target = urlsplit(served.url)
    kept = [
        http.client.HTTPConnection(str(target.hostname), target.port, timeout=20)
        for _ in range(CONNECTIONS)
    ]
    asks = [(pull_path(served.node(number)), served.headers(number)) for number in range(nodes)]
    turns = zip(itertools.cycle(kept), itertools.cycle(asks))
    latencies: list[float] = []

    def pull_for(how_long: int) -> int:
        began = time.monotonic()
        for number in range(per_second * how_long):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            connection, (path, headers) = next(turns)
            sent = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            latencies.append((time.perf_counter() - sent) * 1000)
            assert answer.status == 200, answer.status
        return per_second * how_long

    pull_for(4)
    latencies.clear()
    before = served.cpu()
    pulls = pull_for(seconds)
    time.sleep(0.3)
    cost = {part: (cpu - before[part]) * 1000 / pulls for part, cpu in served.cpu().items()}
    for connection in kept:
        connection.close()
    found = {f"{part}_ms": round(cpu, 3) for part, cpu in cost.items()}
    return {
        **found,
        "total_ms": round(sum(cost.values()), 3),
        "per_second": float(per_second),
        "p50_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(statistics.quantiles(latencies, n=100)[98], 2),
    }
