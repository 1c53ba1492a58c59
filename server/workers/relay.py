"""The relay's process: brings to SpiceDB what requests left in the outbox, whatever is away.

Any number may run: they share the objects that wait, and none is in two hands (db/outbox.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, ComposerError
from db.outbox import Lag

# An idle look costs an empty index scan. NOTIFY would have every writer's commit wait in one queue.
POLL_SECONDS = 0.25
OBJECTS = 200  # in one transaction
DRAIN_SECONDS = 10.0  # for one transaction, SpiceDB's answers included
FIRST_BACKOFF = 0.25  # seconds, doubled at every failure
LONGEST_BACKOFF = 5.0
LAG_EVERY = 60.0  # seconds between lines about what waits
LATE_SECONDS = 5.0  # what waits longer than this is told as a warning

_log = structlog.stdlib.get_logger("plexsphere")


class Drains(Protocol):
    """The outbox's way to SpiceDB (server/authz/outbox_relay.py)."""

    def drain(self, limit: int, deadline: Deadline) -> int:
        """Bring the rows of the ``limit`` oldest objects; how many."""
        ...


class Relay:
    """``run`` it in a process of its own; one thread. ``clock`` is monotonic seconds."""

    def __init__(
        self,
        drains: Drains,
        lag: Callable[[Deadline], Lag],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._drains = drains
        self._lag = lag
        self._clock = clock
        self._wait = wait
        self._backoff = FIRST_BACKOFF
        self._failing = False
        self._told_at = float("-inf")

    def run(self) -> NoReturn:
        """For ever; what ends it is a signal, and a drain that it cuts short is done again."""
        while True:
            self._wait(self.turn())

    def turn(self) -> float:
        """One transaction; how many seconds to wait for the next."""
        try:
            done = self.drain_some()
            if done:
                _log.info("outbox_drained", rows=done)
            self._tell_lag()
        except ComposerError as error:
            return self._failed(error)
        if self._failing:
            _log.info("relay_drains_again")
        self._failing, self._backoff = False, FIRST_BACKOFF
        return 0.0 if done else POLL_SECONDS

    def drain_some(self) -> int:
        """How many rows one transaction brought."""
        return self._drains.drain(OBJECTS, Deadline.after(DRAIN_SECONDS, self._clock))

    def _tell_lag(self) -> None:
        if self._clock() - self._told_at < LAG_EVERY:
            return
        self._told_at = self._clock()
        lag = self._lag(Deadline.after(DRAIN_SECONDS, self._clock))
        late = lag.seconds > LATE_SECONDS or lag.parked
        tell = _log.warning if late else _log.debug
        tell("outbox_lag", waiting=lag.waiting, seconds=round(lag.seconds, 3), parked=lag.parked)

    def _failed(self, error: ComposerError) -> float:
        if not self._failing:
            away = "spicedb" if isinstance(error, AuthzUnavailable) else "postgres"
            _log.warning("relay_cannot_drain", dependency=away, cause=str(error))
        self._failing = True
        pause, self._backoff = self._backoff, min(2 * self._backoff, LONGEST_BACKOFF)
        return pause
