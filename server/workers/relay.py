"""The outbox relay: writes to SpiceDB the rows that requests left in the outbox.

Several may run: they share the waiting objects, and each object is claimed by one of them
(db/outbox.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from composer.deadline import Deadline
from db.outbox import OutboxLag
from server.workers.loop import Turn, TurnLoop

# An empty turn costs one index scan. NOTIFY would make every commit of a writer wait in one queue.
POLL_SECONDS = 0.25
BATCH = 200  # objects in one transaction
DRAIN_SECONDS = 10.0  # for one transaction, SpiceDB's answers included
FIRST_BACKOFF = 0.25  # seconds
LAG_EVERY = 60.0  # seconds between log lines about waiting rows
LATE_SECONDS = 5.0  # rows that wait longer are logged as a warning

_log = structlog.stdlib.get_logger("plexsphere")

ReadLag = Callable[[Deadline], OutboxLag]


class Drain(Protocol):
    """The way from the outbox to SpiceDB (server/authz/outbox_relay.py)."""

    def drain(self, limit: int, deadline: Deadline) -> int:
        """Deliver the rows of the ``limit`` oldest objects; how many rows."""
        ...


def relay_loop(
    outbox: Drain, lag: ReadLag, clock: Callable[[], float] = time.monotonic
) -> TurnLoop:
    """The loop of the relay's process."""
    return TurnLoop(
        drain_turn(outbox, lag, clock),
        failing="relay_cannot_drain",
        recovered="relay_drains_again",
        first_backoff=FIRST_BACKOFF,
    )


def drain_turn(outbox: Drain, lag: ReadLag, clock: Callable[[], float]) -> Turn:
    """A turn is one transaction, followed at once by the next while there are rows."""
    lag_logged_at = float("-inf")

    def turn() -> float:
        nonlocal lag_logged_at
        rows = drain_batch(outbox, clock)
        if rows:
            _log.info("outbox_drained", rows=rows)
        if clock() - lag_logged_at >= LAG_EVERY:
            lag_logged_at = clock()
            log_lag(lag(Deadline.after(DRAIN_SECONDS, clock)))
        return 0.0 if rows else POLL_SECONDS

    return turn


def drain_batch(outbox: Drain, clock: Callable[[], float] = time.monotonic) -> int:
    """One transaction; how many rows it delivered."""
    return outbox.drain(BATCH, Deadline.after(DRAIN_SECONDS, clock))


def log_lag(lag: OutboxLag) -> None:
    """A warning when rows wait long or are parked; else a debug line."""
    log = _log.warning if lag.seconds > LATE_SECONDS or lag.parked else _log.debug
    log("outbox_lag", waiting=lag.waiting, seconds=round(lag.seconds, 3), parked=lag.parked)
