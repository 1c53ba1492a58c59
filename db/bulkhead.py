"""How many callers may be at Postgres at once, and how long the others wait for a place.

While Postgres is frozen every place is taken by a caller that waits out its deadline. Those without
a place are then refused at once: a WSGI server has threads for the places and some to spare, and
the spare ones must stay free to answer what needs no ledger.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from composer.deadline import Deadline
from db.errors import DeadlineExceeded, NoFreeConnection

# No caller came or left for this long, or one gave up within it: no place will come free (seconds).
TROUBLE = 1.0


class Bulkhead:
    """A fixed number of places."""

    def __init__(self, places: int, wait: float, clock: Callable[[], float]) -> None:
        """``wait`` is the most seconds a caller waits for a place."""
        self._places = threading.Semaphore(places)
        self._wait = wait
        self._clock = clock
        self._moved_at = -math.inf
        self._gave_up_at = -math.inf

    @contextmanager
    def place(self, deadline: Deadline) -> Iterator[None]:
        """Raises NoFreeConnection, or DeadlineExceeded where there is no time left to begin."""
        self._take(deadline)
        self._moved_at = self._clock()
        try:
            yield
            self._moved_at = self._clock()
            self._gave_up_at = -math.inf  # Postgres answers: the trouble is over
        except DeadlineExceeded:
            self._gave_up_at = self._clock()
            raise
        finally:
            self._places.release()

    def _take(self, deadline: Deadline) -> None:
        if deadline.remaining() <= 0:
            raise DeadlineExceeded("no time left")
        if self._places.acquire(blocking=False):
            return
        now = self._clock()
        if now - self._gave_up_at < TROUBLE or now - self._moved_at > TROUBLE:
            raise NoFreeConnection("every connection is in use, and none is coming back")
        if not self._places.acquire(timeout=deadline.at_most(self._wait).remaining()):
            self._gave_up_at = self._clock()
            raise NoFreeConnection("every connection stayed in use")
