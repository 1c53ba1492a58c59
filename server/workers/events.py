"""The loop that publishes events. It runs beside the loop that writes tuples.

Neither waits for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from server.events.publisher import DiscardedEvents, Published
from server.workers.loop import Turn, TurnLoop

# As the relay's: an empty turn costs one index scan.
POLL_SECONDS = 0.1
# Seconds. While NATS is away a turn itself waits for it (server/events/jetstream.py), so that what
# is left is at most this late when NATS is back.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.25, 0.5
DELETE_EVERY = 60.0  # seconds between two looks for old rows

_log = structlog.stdlib.get_logger("plexsphere")


class Retention(Protocol):
    """Deletes rows that nobody needs any more."""

    def delete_old(self) -> bool:
        """Delete a batch; whether there may be others."""
        ...


class Publisher(Retention, Protocol):
    """The way from the ledger to the stream (server/events/publisher.py)."""

    def publish(self) -> Published | None: ...


def events_loop(events: Publisher | DiscardedEvents, clock: Callable[[], float]) -> TurnLoop:
    """The loop of a thread of the relay's process."""
    if isinstance(events, DiscardedEvents):
        turn = discard_turn(events)
    else:
        turn = publish_turn(events, clock)
    return TurnLoop(
        turn,
        failing="relay_cannot_publish",
        recovered="relay_publishes_again",
        first_backoff=FIRST_BACKOFF,
        longest_backoff=LONGEST_BACKOFF,
    )


def publish_turn(publisher: Publisher, clock: Callable[[], float]) -> Turn:
    """A turn is one batch, followed at once by the next while there may be rows."""
    deleted_at = clock()
    was_elected: bool | None = None

    def turn() -> float:
        nonlocal deleted_at, was_elected
        batch = publisher.publish()
        if (batch is not None) != was_elected:
            was_elected = batch is not None
            _log.info("publisher_elected" if was_elected else "publisher_waits_for_another")
        if batch is None:
            return POLL_SECONDS
        if batch.rows:
            _log.info("events_published", events=batch.events, rows=batch.rows)
        if clock() - deleted_at >= DELETE_EVERY:
            if publisher.delete_old():
                return 0.0
            deleted_at = clock()
        return 0.0 if batch.more else POLL_SECONDS

    return turn


def discard_turn(events: Retention) -> Turn:
    """A turn deletes a batch: there is no stream to publish to."""
    return lambda: 0.0 if events.delete_old() else DELETE_EVERY
