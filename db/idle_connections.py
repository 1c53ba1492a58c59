"""The connections of a pool that nobody uses, and how more are opened: beside the requests.

A connection takes milliseconds to open, or seconds where Postgres is away. Each is opened in a
thread of its own, before the last idle one is used up where that is possible. A request that gives
up leaves what it waited for to the next.

Postgres may have fewer connections than all pools together may open. A pool that gets none is given
the place of an idle connection of another pool, and its callers wait for that, for a connection of
their own pool or for the next attempt, whichever is first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg2.extensions import connection

from composer.deadline import Deadline
from db.errors import DeadlineExceeded, has_no_connection_left

# A connection is replaced at this age (seconds), so that all replicas move after a failover.
MAX_AGE = 1800
# Connections that nobody used for so long are closed, but for a few (seconds, connections).
IDLE_AGE = 15.0
LEAST_IDLE = 2
# Between two attempts to open a connection while Postgres has none left (seconds).
BETWEEN_ATTEMPTS = 0.1


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
        self,
        connect: Callable[[], connection],
        size: int,
        clock: Callable[[], float],
        give_back: Callable[[], bool] = lambda: False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``size`` is the most that there are at once, those in use included.

        ``give_back`` closes an idle connection of another pool, and is false where there is none.
        """
        self._connect = connect
        self._size = size
        self._clock = clock
        self._give_back = give_back
        self._pause = pause
        self._changed = threading.Condition()
        self._idle: deque[PooledConnection] = deque()
        self._errors: deque[Exception] = deque()  # of attempts that somebody waited for
        self._refused: Exception | None = None  # while Postgres has no connection left
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
            raise error or self._refused or DeadlineExceeded("no connection in time")

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
            unused = self._unused()
        if unused is not None:
            unused.connection.close()

    def drop(self, pooled: PooledConnection) -> None:
        """Close a connection that was taken."""
        with self._changed:
            self._existing -= 1
        pooled.connection.close()

    def close_idle(self) -> bool:
        """Close the one that was idle for longest, unless a caller waits; whether there is one."""
        with self._changed:
            if self._waiting or not self._idle:
                return False
            pooled = self._idle.popleft()
            self._existing -= 1
        pooled.connection.close()
        return True

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
        if not self._idle and self._refused is None:
            self._open(self._waiting + 1)
        return pooled

    def _unused(self) -> PooledConnection | None:
        """The one that was idle for longest, where it was idle for too long; under the lock."""
        is_unused = self._clock() - self._idle[0].last_at > IDLE_AGE
        if len(self._idle) <= LEAST_IDLE or not is_unused:
            return None
        self._existing -= 1
        return self._idle.popleft()

    def _open(self, wanted: int) -> None:
        """Open until ``wanted`` are being opened or the pool is full; called under the lock."""
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
        while True:
            opened: connection | None = None
            error: Exception | None = None
            try:
                opened = self._connect()
            except Exception as found:
                error = found
            with self._changed:
                if not self._is_tried_again(error, generation):
                    is_kept = self._ended(opened, error, generation)
                    break
            if not self._give_back():
                self._pause(BETWEEN_ATTEMPTS)
        if opened is not None and not is_kept:
            opened.close()

    def _ended(self, opened: connection | None, error: Exception | None, generation: int) -> bool:
        """Whether what was opened is kept: the pool was not closed meanwhile; under the lock."""
        self._opening -= 1
        is_kept = opened is not None and generation == self._generation
        if opened is not None and is_kept:
            self._idle.append(PooledConnection(opened, self._clock(), generation))
            self._open(self._waiting - len(self._idle))
        else:
            self._existing -= 1
            if error is None:  # callers wait for a connection of after the close
                self._open(self._waiting)
            elif error is not self._refused and self._waiting:
                self._errors.append(error)
        self._changed.notify()
        return is_kept

    def _is_tried_again(self, error: Exception | None, generation: int) -> bool:
        """Whether Postgres has no connection left for a caller that waits; under the lock.

        One attempt at a time goes on: each costs Postgres a process.
        """
        is_full = error is not None and has_no_connection_left(error)
        self._refused = error if is_full else None
        is_awaited = self._waiting > len(self._idle) and generation == self._generation
        return is_full and is_awaited and self._opening == 1
