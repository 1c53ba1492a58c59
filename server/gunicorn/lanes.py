"""Threads by what they are for, so that no kind of request waits for the threads of another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from server.gunicorn.connection import Connection
from server.threads import Threads

# Of the mean of what a request takes: the last twenty count most.
_NEWEST = 0.05
# A client that asks again this soon (s) after its last answer is one of a crowd. Others go first:
# somebody who asks seldom does not wait behind hundreds who always ask.
CROWD_SECONDS = 0.1
# One request in so many is of the crowd, even while others wait.
CROWD_SHARE = 4


class Lane:
    """A queue of whole requests and the threads that answer them."""

    def __init__(
        self,
        name: str,
        threads: int,
        serve: Callable[[Lane, Connection], None],
        *,
        may_refuse: bool = True,
        newest_first: bool = False,
    ) -> None:
        """``serve`` answers, and never raises. Without ``may_refuse`` every request is queued.

        With ``newest_first`` who asks once does not wait for a crowd that asked before.
        """
        self.name = name
        self.may_refuse = may_refuse
        self.refused = 0  # requests since the last look at it
        self._newest_first = newest_first
        self.threads = threads
        self._serve = serve
        self._seconds = 0.0  # mean that a thread has had a request
        self._crowd: deque[Connection] = deque()
        self._others: deque[Connection] = deque()
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        self._running: set[Connection] = set()
        self._taken = 0

    def start(self) -> None:
        """Start the threads. They end with the process: one that hangs must not keep it."""
        for number in range(self.threads):
            threading.Thread(target=self._run, name=f"{self.name}-{number}", daemon=True).start()

    @property
    def busy(self) -> int:
        """Threads that have a request."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests without a thread."""
        return len(self._crowd) + len(self._others)

    @property
    def load(self) -> float:
        """Requests for each thread, those that a thread has included."""
        return (self.waiting + self.busy) / self.threads

    @property
    def wait_seconds(self) -> float:
        """The seconds that the next request is likely to wait for a thread."""
        return self.waiting * self._seconds / self.threads

    def put(self, connection: Connection) -> None:
        """Queue a connection's request."""
        pause = connection.began - connection.answered
        is_crowd = not connection.answered or pause < CROWD_SECONDS
        (self._crowd if is_crowd else self._others).append(connection)
        self._tickets.put(True)

    def took(self, seconds: float) -> None:
        """Remember what a request took."""
        self._seconds += _NEWEST * (seconds - self._seconds)

    def _run(self) -> None:
        while True:
            self._tickets.get()
            connection = self._next()
            self._running.add(connection)
            self._serve(self, connection)
            self._running.discard(connection)

    def _next(self) -> Connection:
        """There is one for each ticket; another thread may take it from the queue looked at."""
        self._taken += 1
        queues = [self._others, self._crowd]
        if self._taken % CROWD_SHARE == 0:
            queues.reverse()
        while True:
            for queue in queues:
                try:
                    return queue.pop() if self._newest_first else queue.popleft()
                except IndexError:
                    continue


class Lanes:
    """The lane of a request."""

    def __init__(self, threads: Threads, serve: Callable[[Lane, Connection], None]) -> None:
        self._requests = Lane("requests", threads.requests, serve)
        self._heartbeats = Lane("heartbeats", threads.heartbeats, serve)
        # the contract declares no 503 `overloaded` for these
        self._others = Lane("others", 1, serve, may_refuse=False)
        self._by_path: Mapping[str, Lane] = {
            path: Lane(path[1:], 1, serve, may_refuse=False, newest_first=True)
            for path in ("/livez", "/readyz")
        }
        self.all = (self._requests, self._heartbeats, self._others, *self._by_path.values())

    def start(self) -> None:
        """Start all threads."""
        for lane in self.all:
            lane.start()

    def own_lane(self, request: Any) -> Lane:
        """The lane of a parsed request; an odd spelling of a path is nobody's."""
        path: str = request.path
        if not path.startswith(("/v1/nodes", "/v1/domains", "/v1/register")):
            return self._by_path.get(path, self._others)
        if path.endswith("/heartbeat") and request.method == "POST":
            return self._heartbeats
        return self._requests

    def with_room(self, own: Lane) -> Lane:
        """Its own lane, or the large one where that has more room: the own is a promise, no cap."""
        if own.load < 1.0 or own in self._by_path.values() or own.load <= self._requests.load:
            return own
        return self._requests
