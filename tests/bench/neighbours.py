"""One client and the others: rows 7 and 12, and the storm of row 11.

Each figure has the share that must be reached, and what the client that stands alone saw.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit

from tests.bench.herd import ask_all
from tests.bench.load import load
from tests.bench.served import Served
from tests.bodies import JSON, body_now
from tests.client import pull_path

QUIET_PER_SECOND = 4
GREEDY = 500
PATIENCE_S = 30.0  # of an agent
LIMITED_S = 0.05  # pause after a 429, whose Retry-After is longer


def call(served: Served, method: str, path: str, number: int, body: bytes = b"") -> int:
    """The status of one request of a Node, on a connection of its own; 0 without an answer."""
    target = urlsplit(served.url)
    connection = HTTPConnection(str(target.hostname), target.port, timeout=PATIENCE_S)
    try:
        headers = {**served.headers(number), **(JSON if body else {})}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[list[object]]:
    """Repeat ``work`` in a thread of its own; its results."""
    over, results = threading.Event(), list[object]()

    def run() -> None:
        while not over.is_set():
            results.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        over.set()
        thread.join()


def rotating(served: Served, number: int) -> Callable[[], int]:
    """A Node asks for a new key of its own again and again, and hardly waits when it must not."""
    path = f"/v1/nodes/{served.node(number)}/public-key"

    def rotate() -> int:
        status = call(served, "PUT", path, number, body_now("RotateNodeKey"))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            time.sleep(LIMITED_S)
        return status

    return rotate


def every(served: Served, path: str, number: int, per_second: float, seconds: float) -> list[float]:
    """Milliseconds of each answer of one client that asks at a pace; the patience for none."""
    found, began = [], time.monotonic()
    for turn in range(round(seconds * per_second)):
        time.sleep(max(0.0, began + turn / per_second - time.monotonic()))
        sent = time.perf_counter()
        status = call(served, "GET", path, number)
        took = (time.perf_counter() - sent) * 1000
        found.append(took if status == 200 else PATIENCE_S * 1000)
    return found


def quiet_beside_greedy(
    served: Served, requests: Sequence[bytes], seconds: float
) -> dict[str, Any]:
    """One client asks four times a second, alone and beside 500 that ask all the time."""
    path = pull_path(served.node(0))
    every(served, path, 0, QUIET_PER_SECOND, 2)
    alone = every(served, path, 0, QUIET_PER_SECOND, seconds)
    greedy = threading.Thread(target=load, args=(served.url, requests, seconds + 3, GREEDY))
    greedy.start()
    time.sleep(1.5)
    found = every(served, path, 0, QUIET_PER_SECOND, seconds)
    greedy.join()
    limit = 3 * statistics.median(alone)
    return {
        "within": round(sum(took <= limit for took in found) / len(found), 3),
        "alone_p50_ms": round(statistics.median(alone), 2),
        "p50_ms": round(statistics.median(found), 2),
        "p99_ms": round(max(found), 2),
    }


def storm(served: Served, nodes: int) -> dict[str, Any]:
    """All pull; beside them a heartbeat and /livez, again and again."""
    requests = [served.pull(number) for number in range(nodes)]
    beats: list[float] = []
    lives: list[float] = []
    refused: list[int] = []

    def beat() -> None:
        sent = time.monotonic()
        path = f"/v1/nodes/{served.node(1)}/heartbeat"
        status = call(served, "POST", path, 1, body_now("PostNodeHeartbeat"))
        beats.append(time.monotonic() - sent)
        if status != 200:
            refused.append(status)
        time.sleep(0.25)

    def live() -> None:
        sent = time.monotonic()
        if call(served, "GET", "/livez", 0) != 200:
            refused.append(0)
        lives.append(time.monotonic() - sent)
        time.sleep(0.1)

    # in a process of its own, or the others would wait for its interpreter
    with ProcessPoolExecutor(1, get_context("spawn")) as herd, beside(beat), beside(live):
        target = ("127.0.0.1", served.port)
        found = herd.submit(ask_all, target, requests, 2 * PATIENCE_S).result()
    return {
        **found,
        "heartbeat_s": round(max(beats), 2),
        "livez_ms": round(max(lives) * 1000, 1),
        "refused_beside": len(refused),
    }
