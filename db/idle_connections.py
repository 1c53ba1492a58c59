"""The connections of a pool that nobody uses, and how more are opened: beside the requests.

A connection takes milliseconds to open, or seconds where Postgres is away. Each is opened in a
thread of its own, before the last idle one is used up where that is possible. A request that gives
up leaves what it waited for to the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg2.extensions import connection

from composer.deadline import Deadline
from db.errors import DeadlineExceeded

# A connection is replaced at this age (seconds), so that all replicas move after a failover.
MAX_AGE = 1800


@dataclass(slots=True, eq=False)
class PooledConnection:
    """``prepared`` holds the names of the statements that it has prepared; moments are seconds."""

    connection: connection
    opened_at: float
    generation: int
    prepared: set[str] = field(default_factory=set)
    used_at: float | None = None
    taken_at: float = 0.0

    @property
    def last_at(self) -> float:
        """The last time that it was known to be alive."""
        return self.opened_at if self.used_at is None else self.used_at


class IdleConnections:
    """Thread-safe. The connection that was used last is taken first, so that the others age."""

    def __init__(
        self, connect: Callable[[], connection], size: int, clock: Callable[[], float]
    ) -> None:
        """``size`` is the most that there are at once, those in use included."""
        self._connect = connect
        self._size = size
        self._clock = clock
        self._changed = threading.Condition()
        self._idle: deque[PooledConnection] = deque()
        self._errors: deque[Exception] = deque()  # of attempts that somebody waited for
        self._existing = 0  # idle, in use, or being opened
        self._opening = 0
        self._waiting = 0
        self._generation = 0

    def take(self, deadline: Deadline) -> PooledConnection:
        """Raises DeadlineExceeded, or the error of an attempt to open one."""
        with self._changed:
            if self._idle:
                return self._pop()
            self._waiting += 1
            self._open(self._waiting)
            self._changed.wait_for(lambda: self._idle or self._errors, deadline.remaining())
            self._waiting -= 1
            if self._idle:
                return self._pop()
            error = self._errors.popleft() if self._errors else None
            if not self._waiting:
                self._errors.clear()
            raise error or DeadlineExceeded("no connection in time")

    @property
    def used(self) -> int:
        """The number that callers have now."""
        with self._changed:
            return self._existing - self._opening - len(self._idle)

    def give(self, pooled: PooledConnection) -> None:
        """Keep a connection for the next caller, unless it is too old."""
        is_young = self._clock() - pooled.opened_at < MAX_AGE
        if not is_young or pooled.generation != self._generation:
            self.drop(pooled)
            return
        with self._changed:
            self._idle.append(pooled)
            if self._waiting:
                self._changed.notify()

    def drop(self, pooled: PooledConnection) -> None:
        """Close a connection that was taken."""
        with self._changed:
            self._existing -= 1
        pooled.connection.close()

    def close(self) -> None:
        """Close those that are idle; those in use are closed when they are given back."""
        with self._changed:
            self._generation += 1
            closed = list(self._idle)
            self._idle.clear()
            self._existing -= len(closed)
        for pooled in closed:
            pooled.connection.close()

    def _pop(self) -> PooledConnection:
        pooled = self._idle.pop()
        if not self._idle:
            self._open(self._waiting + 1)
        return pooled

    def _open(self, wanted: int) -> None:
        """Have so many under way, as far as there is room; called under the lock."""
        while self._opening < wanted and self._existing < self._size:
            thread = threading.Thread(target=self._open_connection, name="connect", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads: what is under way must do
                return
            self._opening += 1
            self._existing += 1

    def _open_connection(self) -> None:
        generation = self._generation
        opened: connection | None = None
        error: Exception | None = None
        try:
            opened = self._connect()
        except Exception as found:
            error = found
        with self._changed:
            self._opening -= 1
            if opened is not None and generation == self._generation:
                self._idle.append(PooledConnection(opened, self._clock(), generation))
                opened = None
            else:
                self._existing -= 1
                if error is not None and self._waiting:
                    self._errors.append(error)
            self._changed.notify()
        if opened is not None:  # the pool was closed meanwhile
            opened.close()
