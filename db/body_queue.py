"""Served bodies on their way to the ledger: bounded in bytes, and never in the way of a pull.

It has no thread: the audit's writer takes from it, after the rows of the same pulls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from composer.identity import parse_canonical_uuid
from db.body_batch import ServedBody

CAPACITY = 32 * 2**20  # bytes held for the ledger, of one process
LARGEST = 2 * 2**20  # bytes of a body; the peers of 10,000 Nodes are 1.4 million
BATCH = 8 * 2**20  # bytes in a statement, before they are compressed
OVERHEAD = 1_024  # bytes that a waiting body costs beside its own


class BodyQueue:
    """Implements server.http.body_history.BodyHistory."""

    def __init__(
        self,
        per_node: int,
        *,
        on_lost: Callable[[int, str], None],
        capacity: int = CAPACITY,
        largest: int = LARGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_lost(bodies, reason)`` is told of every loss: queue_full, failed or shutdown.

        It is called on the writer's thread, and what it raises is dropped. A body that is lost may
        be one that the ledger has already.
        """
        self.per_node = per_node
        self._on_lost = on_lost
        self._capacity = capacity
        self._largest = largest
        self._clock = clock
        self._changing = threading.Lock()
        self._waiting: dict[tuple[str, str], ServedBody] = {}
        self._held = 0  # bytes, of those in flight too
        self._overflown = 0

    def keep(self, node: str, digest: str, body: bytes) -> None:
        """Queue ``body``: no I/O, no exception; what waits already is not held twice."""
        node_id = parse_canonical_uuid(node.removeprefix("node:"))
        if node_id is None:
            return
        kept = body if len(body) <= self._largest else None
        served = ServedBody(self._clock(), str(node_id), digest, len(body), kept)
        key = (served.node_id, digest)
        with self._changing:
            before = self._waiting.pop(key, None)
            held = self._held + _cost(served) - (_cost(before) if before else 0)
            if held > self._capacity:
                self._overflown += 1
            else:
                self._waiting[key] = served
            self._held = held if key in self._waiting else held - _cost(served)

    @property
    def waiting(self) -> bool:
        """Whether anything is not written yet, what is in flight included."""
        return self._held > 0

    def take(self) -> tuple[ServedBody, ...]:
        """The oldest that fit into one statement; they count as held until ``done``."""
        taken: list[ServedBody] = []
        size = 0
        with self._changing:
            for served in tuple(self._waiting.values()):
                size += _cost(served)
                if taken and size > BATCH:
                    break
                taken.append(self._waiting.pop((served.node_id, served.digest)))
        return tuple(taken)

    def done(self, batch: tuple[ServedBody, ...], lost: str | None = None) -> None:
        """The memory of ``batch`` is free again; ``lost`` says why it was not written."""
        with self._changing:
            self._held -= sum(map(_cost, batch))
            overflown, self._overflown = self._overflown, 0
        if lost:
            self._lose(len(batch), lost)
        self._lose(overflown, "queue_full")

    def close(self) -> None:
        """What is left is lost."""
        with self._changing:
            left = tuple(self._waiting.values())
            self._waiting.clear()
        self.done(left, "shutdown")

    def _lose(self, bodies: int, reason: str) -> None:
        if bodies:
            with suppress(Exception):
                self._on_lost(bodies, reason)


def _cost(served: ServedBody) -> int:
    return OVERHEAD + len(served.body or b"")
