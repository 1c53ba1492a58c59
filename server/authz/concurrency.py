"""A limit on concurrent calls to SpiceDB, below the number of request threads: a SpiceDB that does
not answer occupies only some of the threads, and ``/livez`` still answers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.timing import SPICEDB_WAIT, Timed, untimed


class ConcurrencyLimit:
    """``limit`` permits.

    A caller without a permit waits while calls succeed, ``wait_s`` seconds after the last success,
    and not at all within ``trouble_s`` seconds of a failed call. ``clock`` is monotonic seconds;
    ``timed`` is told of each wait for a permit.
    """

    def __init__(
        self,
        limit: int,
        wait_s: float = 0.25,
        trouble_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
    ) -> None:
        if limit < 1:
            raise ValueError("a concurrency limit needs at least one permit")
        self.wait_s = wait_s
        self._permits = threading.BoundedSemaphore(limit)
        self._trouble_s = trouble_s
        self._clock = clock
        self._timed = timed
        self._failed_at: float | None = None
        self._succeeded_at = -math.inf

    @contextmanager
    def permit(self, deadline: Deadline) -> Iterator[None]:
        """Hold a permit. Raises AuthzUnavailable without one; notes an AuthzUnavailable inside."""
        if not self._permits.acquire(blocking=False):
            began = self._clock()
            try:
                self._wait(deadline)
            finally:
                self._timed(SPICEDB_WAIT, began, self._clock())
        try:
            yield
        except AuthzUnavailable:
            self._failed_at = self._clock()
            raise
        else:
            self._failed_at = None
            self._succeeded_at = self._clock()
        finally:
            self._permits.release()

    def _wait(self, deadline: Deadline) -> None:
        if self.in_trouble():
            raise AuthzUnavailable("SpiceDB is in trouble and every permit is taken")
        while not self._permits.acquire(timeout=min(self.wait_s, deadline.remaining())):
            in_time = deadline.remaining() > 0
            # Many callers are no trouble. Without a recent success SpiceDB may have stopped to
            # answer: the calls that hold the permits have not failed yet.
            if in_time and not self.stands_still():
                continue
            self._failed_at = self._clock() if in_time else self._failed_at
            raise AuthzUnavailable("no permit to ask SpiceDB in time")

    def stands_still(self) -> bool:
        """Whether no call succeeded within the last ``wait_s`` seconds."""
        return self._clock() - self._succeeded_at >= self.wait_s

    def in_trouble(self) -> bool:
        """Whether a call failed within the last ``trouble_s`` seconds and none succeeded since."""
        failed = self._failed_at
        return failed is not None and self._clock() - failed < self._trouble_s
