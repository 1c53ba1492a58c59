"""Threads by what they are for, so that no kind of request waits for the threads of another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from server.gunicorn.connection import Connection

# Of the mean of what a request takes: the last twenty count most.
_NEWEST = 0.05


class Lane:
    """A queue of whole requests and the threads that answer them, the longest waiting first."""

    def __init__(self, name: str, threads: int, serve: Callable[[Lane, Connection], None]) -> None:
        """``serve`` answers, and never raises."""
        self.name = name
        self.threads = threads
        self.seconds = 0.0  # mean that a thread has had a request
        self._serve = serve
        self._waiting: deque[Connection] = deque()
        self._tickets: SimpleQueue[bool] = SimpleQueue()

    def start(self) -> None:
        """Start the threads. They end with the process: one that hangs must not keep it."""
        for number in range(self.threads):
            threading.Thread(target=self._run, name=f"{self.name}-{number}", daemon=True).start()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def wait_seconds(self) -> float:
        """How long the next request is likely to wait for a thread."""
        return len(self._waiting) * self.seconds / self.threads

    def put(self, connection: Connection) -> None:
        """Queue a connection's request."""
        self._waiting.append(connection)
        self._tickets.put(True)

    def took(self, seconds: float) -> None:
        """Remember what a request took."""
        self.seconds += _NEWEST * (seconds - self.seconds)

    def _run(self) -> None:
        while True:
            self._tickets.get()
            self._serve(self, self._waiting.popleft())
