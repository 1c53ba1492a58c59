"""Answered requests with the stages of each: kept by the threads, added up once a second.

To count a request in the files that workers share takes about ten microseconds for each number, and
to append it to a queue a fraction of one. So the threads append, and one thread adds up, writes
access lines and sends spans. A worker that is killed loses a second of it.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from prometheus_client import Histogram

from composer.identity import Principal
from db.timing import POOL_WAIT, POSTGRES, SPICEDB, SPICEDB_WAIT

# A name, and the monotonic moments of its begin and end.
Stage = tuple[str, float, float]

QUEUE, AUTHENTICATION, OPERATION, VALIDATION = "queue", "authentication", "operation", "validation"
HANDLER = "handler"
# What the time of an operation is made of; the rest of it is its handler's.
WITHIN_OPERATION = (SPICEDB_WAIT, SPICEDB, POOL_WAIT, POSTGRES)
STAGES = (QUEUE, AUTHENTICATION, *WITHIN_OPERATION, HANDLER, VALIDATION)

TURN_SECONDS = 1.0
# Of requests that are not added up yet; the oldest are lost.
MOST_WAITING = 100_000

_log = structlog.stdlib.get_logger("plexsphere.metrics")


class Answered(NamedTuple):
    """A request whose answer leaves; moments are monotonic seconds."""

    operation: str
    status: int
    received: float
    answered: float
    stages: list[Stage]
    method: str
    path: str
    correlation_id: str
    principal: Principal | None
    traceparent: str | None = None

    @property
    def seconds(self) -> float:
        """The seconds from its last byte to its answer."""
        return self.answered - self.received

    def seconds_by_stage(self) -> dict[str, float]:
        """The seconds in each stage that it reached; ``handler`` is what is left of the
        operation."""
        found: dict[str, float] = {}
        begin, handler = math.inf, 0.0
        for stage, began, ended in self.stages:
            if stage == OPERATION:
                begin, handler = began, ended - began
            else:
                found[stage] = found.get(stage, 0.0) + ended - began
        if begin < math.inf:
            waits = (end - at for stage, at, end in self.stages if is_within(stage) and at >= begin)
            found[HANDLER] = max(0.0, handler - sum(waits))
        return found


def is_within(stage: str) -> bool:
    """Whether the operation waits in it."""
    return stage in WITHIN_OPERATION


class BulkHistogram(Histogram):
    """A histogram that takes many values in one step, and looks its children up once."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Observe each of them."""
        counts = Counter(bisect_left(self._upper_bounds, value) for value in values)
        for bucket, number in counts.items():
            self._buckets[bucket].inc(number)
        self._sum.inc(sum(values))


class AnsweredRequests:
    """A queue of answered requests, and the thread that takes them. Thread-safe."""

    def __init__(self, add_up: Callable[[Sequence[Answered]], None]) -> None:
        """``add_up`` gets what was answered since the last turn, which may be nothing."""
        self._add_up = add_up
        self._waiting: deque[Answered] = deque(maxlen=MOST_WAITING)
        self.append = self._waiting.append
        self._turn = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Take turns from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="answered", daemon=True).start()

    def settle(self) -> None:
        """Add up what is answered until now."""
        with self._turn:
            taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._add_up(taken)

    def close(self) -> None:
        """The last turn."""
        self._stopped.set()
        self.settle()

    def _run(self) -> None:
        while not self._stopped.wait(TURN_SECONDS):
            try:
                self.settle()
            except Exception:  # the next turn may succeed
                _log.exception("requests_not_added_up")
