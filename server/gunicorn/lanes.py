"""Threads by what they are for, so that no kind of request waits for the threads of another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import median
from typing import Any

from composer.memory import Memory
from server.gunicorn.connection import Connection
from server.gunicorn.sources import address_of
from server.gunicorn.tickets import Tickets
from server.threads import Threads

# The last answers, of which the median is what a request takes: so many for each request that the
# lane can have at once. The first ones are slow, because whatever they need is made for them; until
# there are as many again and more, nothing is known.
REMEMBERED = 3
# A caller that asks again this soon (s) after its last answer is one of a crowd. Others go first:
# somebody who asks seldom does not wait behind hundreds who always ask.
CROWD_SECONDS = 0.1
# One request in so many is of the crowd, even while others wait.
CROWD_SHARE = 4


# Requests that one thread answers in turns (db/together.py).
TOGETHER = 8

# Of about 200 bytes for each caller.
CALLERS_BYTES = 8 * 1024 * 1024

Serve = Callable[["Lane", list[Connection]], None]


class Lane:
    """A queue of whole requests and the threads that answer them."""

    def __init__(
        self,
        name: str,
        threads: int,
        serve: Serve,
        *,
        together: int = 1,
        kept_free: bool = False,
        may_refuse: bool = True,
        newest_first: bool = False,
    ) -> None:
        """``serve`` answers, and never raises. Without ``may_refuse`` every request is queued.

        A thread takes up to ``together`` requests at once. With ``kept_free`` one of several
        threads takes none of a crowd. With ``newest_first`` a single request goes before the older
        requests of a crowd.
        """
        self.name = name
        self.may_refuse = may_refuse
        self.refused = 0  # requests since the last look at it
        self._newest_first = newest_first
        self.threads = threads
        self._together = together
        self._kept_free = kept_free and threads > 1
        self._serve = serve
        most = REMEMBERED * threads * together
        self._seconds: deque[float] = deque(maxlen=most)  # that a thread has had a request
        self._crowd: deque[Connection] = deque()
        self._others: deque[Connection] = deque()
        self._new = 0  # requests for which no thread was woken
        # Each is for up to ``together`` requests.
        self._tickets = Tickets()
        self._tickets_of_others = Tickets()  # for the thread that is free
        self._running: set[Connection] = set()
        self._busy: set[int] = set()  # threads
        self._answered: Memory[float] = Memory(CALLERS_BYTES)  # the last moment of each caller
        self._taken = 0

    def start(self) -> None:
        """Start the threads. They end with the process: one that hangs must not keep it."""
        for number in range(self.threads):
            run = self._run_for_others if self._kept_free and not number else self._run
            threading.Thread(target=run, name=f"{self.name}-{number}", daemon=True).start()

    @property
    def busy(self) -> int:
        """Threads that have a request, or several."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """Requests without a thread."""
        return len(self._crowd) + len(self._others)

    @property
    def load(self) -> float:
        """Requests for each thread, those that a thread has included."""
        return (self.waiting + len(self._running)) / self.threads

    @property
    def wait_seconds(self) -> float:
        """The seconds that the next request is likely to wait for a thread; 0 while it is not
        known what a request takes."""
        if not self.waiting or len(self._seconds) < (self._seconds.maxlen or 0):
            return 0.0
        usual = median(list(self._seconds))  # a copy, as other threads append
        return self.waiting * usual / self.threads

    def put(self, connection: Connection) -> None:
        """Queue a connection's request; a thread gets it after ``release``."""
        answered = self._answered.get(caller_of(connection))
        is_crowd = answered is not None and connection.began - answered < CROWD_SECONDS
        queue = self._crowd if is_crowd else self._others
        if self._newest_first and connection.answered:  # it had its turn on this connection
            queue.appendleft(connection)
        else:
            queue.append(connection)
        self._new += 1

    def release(self) -> None:
        """Let threads take what was queued."""
        new, self._new = self._new, 0
        for _ in range(0, new, self._together):
            self._tickets.put()
        if new and self._kept_free and self._others and self._running:
            self._tickets_of_others.put()

    def took(self, seconds: float) -> None:
        """Remember what a request took."""
        self._seconds.append(seconds)

    def _run(self) -> None:
        while True:
            self._tickets.take()
            self._serve_next(self._next)

    def _run_for_others(self) -> None:
        while True:
            self._tickets_of_others.take()
            self._serve_next(self._next_of_others)

    def _serve_next(self, next_request: Callable[[], Connection | None]) -> None:
        """Nothing where another thread has taken what there was."""
        taken: list[Connection] = []
        while len(taken) < self._together and (connection := next_request()) is not None:
            taken.append(connection)
        if taken:
            thread = threading.get_ident()
            self._busy.add(thread)
            self._running.update(taken)
            callers = [caller_of(connection) for connection in taken]
            self._serve(self, taken)
            self._running.difference_update(taken)
            self._busy.discard(thread)
            now = time.monotonic()
            for caller in callers:
                self._answered.put(caller, now, 0)

    def _next_of_others(self) -> Connection | None:
        with suppress(IndexError):
            return self._others.popleft()
        return None

    def _next(self) -> Connection | None:
        self._taken += 1
        queues = [self._others, self._crowd]
        if self._taken % CROWD_SHARE == 0:
            queues.reverse()
        for queue in queues:
            with suppress(IndexError):
                return queue.pop() if self._newest_first else queue.popleft()
        return None


def caller_of(connection: Connection) -> int:
    """A number for the credential of a request, or for the address of a client without one. Nothing
    is verified yet: it only decides who goes first."""
    for name, value in connection.request.headers:
        if name == "AUTHORIZATION":
            return hash(value)
    return hash(address_of(connection.client))


class Lanes:
    """The lane of a request."""

    def __init__(self, threads: Threads, serve: Serve) -> None:
        self._requests = Lane("requests", threads.requests, serve)
        self._pulls = Lane("pulls", threads.pulls, serve, together=TOGETHER, kept_free=True)
        self._heartbeats = Lane("heartbeats", threads.heartbeats, serve, together=TOGETHER)
        # the contract declares no 503 `overloaded` for these
        self._others = Lane("others", 1, serve, may_refuse=False)
        self._by_path: Mapping[str, Lane] = {
            path: Lane(path[1:], 1, serve, may_refuse=False, newest_first=True)
            for path in ("/livez", "/readyz")
        }
        # Pulls and heartbeats stay together, and a probe has its thread.
        self._stay = frozenset((self._pulls, self._heartbeats, *self._by_path.values()))
        self.all = (
            self._requests,
            self._pulls,
            self._heartbeats,
            self._others,
            *self._by_path.values(),
        )

    def start(self) -> None:
        """Start all threads."""
        for lane in self.all:
            lane.start()

    def release(self) -> None:
        """Let threads take what the loop has queued in its turn: what came together is taken
        together, and wakes one thread."""
        for lane in self.all:
            lane.release()

    def own_lane(self, request: Any) -> Lane:
        """The lane of a parsed request; an odd spelling of a path is nobody's."""
        path: str = request.path
        if not path.startswith(("/v1/nodes", "/v1/domains", "/v1/register")):
            return self._by_path.get(path, self._others)
        if path.endswith("/heartbeat") and request.method == "POST":
            return self._heartbeats
        if path.endswith("/state"):
            return self._pulls
        return self._requests

    def with_room(self, own: Lane) -> Lane:
        """Its own lane, or the large one where that has more room: the own is a promise, no cap."""
        if own in self._stay or own.load < 1.0 or own.load <= self._requests.load:
            return own
        return self._requests
