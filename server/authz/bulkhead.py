"""Caps concurrent checks below the number of request threads, so a frozen SpiceDB keeps only some
of them and ``/livez`` answers all the while."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable


class Bulkhead:
    """``limit`` permits. Who finds none waits while calls succeed; ``patience_s`` without any, and
    not at all while there is trouble: a permit holder failed within the last ``trouble_s`` seconds.

    ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        patience_s: float = 0.25,
        trouble_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1:
            raise ValueError("a bulkhead needs at least one permit")
        self._permits = threading.BoundedSemaphore(limit)
        self._patience_s = patience_s
        self._trouble_s = trouble_s
        self._clock = clock
        self._failed_at: float | None = None
        self._succeeded_at = -math.inf

    @contextmanager
    def permit(self, deadline: Deadline) -> Iterator[None]:
        """Hold a permit; AuthzUnavailable when there is none, and noted when raised inside."""
        if not self._permits.acquire(blocking=False):
            self._wait(deadline)
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
        while not self._permits.acquire(timeout=min(self._patience_s, deadline.remaining())):
            in_time = deadline.remaining() > 0
            # Many callers are no trouble. A success this long ago is the first sign of a frozen
            # SpiceDB: the calls that hold the permits have not failed yet.
            if in_time and self._clock() - self._succeeded_at < self._patience_s:
                continue
            self._failed_at = self._clock() if in_time else self._failed_at
            raise AuthzUnavailable("no permit to ask SpiceDB in time")

    def in_trouble(self) -> bool:
        """Whether a call failed within the last ``trouble_s`` seconds and none succeeded since."""
        failed = self._failed_at
        return failed is not None and self._clock() - failed < self._trouble_s
