"""Wakes one waiting thread for each ticket, the last that began to wait: its caches are warm.

A queue.SimpleQueue wakes a second thread for each item, which finds nothing and waits again.
"""

from __future__ import annotations

import threading
from collections import deque


class Tickets:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 0
        self._waiting: deque[threading.Lock] = deque()

    def put(self) -> None:
        """Wake a thread, or let the next one go on at once."""
        with self._lock:
            if self._waiting:
                self._waiting.pop().release()
            else:
                self._left += 1

    def take(self) -> None:
        """Wait for a ticket."""
        with self._lock:
            if self._left:
                self._left -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()
