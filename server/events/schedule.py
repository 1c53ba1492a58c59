"""Schedules open streams: one thread for their timers, few threads that ask the gates again."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty, PriorityQueue
from typing import Protocol

import structlog

from composer.deadline import Deadline
from db.together import run_together

# Each takes a place among the calls to SpiceDB and the connections to Postgres while it asks.
ASKING_THREADS = 2
ASK_DEADLINE_SECONDS = 3.0
# Most of what a bulk call saves; a request's own check waits for two such calls at most.
TOGETHER = 8
AT_ONCE, IN_TIME = 0, 1

_log = structlog.stdlib.get_logger("plexsphere.streams")


class ScheduledStream(Protocol):
    """A stream, as it is looked after. All moments are monotonic seconds."""

    ask_at: float
    ticket: int  # of its next moment; the schedule's own

    @property
    def is_over(self) -> bool:
        """Whether nothing more is due."""
        ...

    def look(self, now: float) -> float:
        """See to what is due; the next moment to look."""
        ...

    def ask(self, now: float, deadline: Deadline) -> None:
        """Ask whether it may go on."""
        ...


class StreamSchedule:
    """Its threads start with the first stream and end with the process.

    Without ``threads`` a test takes the turns and answers the questions.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, threads: bool = True
    ) -> None:
        self._clock = clock
        self._new: deque[ScheduledStream] = deque()
        self._woken = threading.Event()
        self._moments: list[tuple[float, int, ScheduledStream]] = []
        self._questions: PriorityQueue[tuple[int, int, ScheduledStream]] = PriorityQueue()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._is_started = not threads

    def add(self, stream: ScheduledStream) -> None:
        """Look after a stream from now on."""
        self._new.append(stream)
        self._woken.set()
        self._start()

    def ask_at_once(self, streams: Iterable[ScheduledStream]) -> None:
        """Ask about these before all others."""
        for stream in streams:
            self._questions.put((AT_ONCE, next(self._numbers), stream))

    def ask_soon(self, streams: Iterable[ScheduledStream]) -> None:
        """Ask about these behind those that are asked about already."""
        for stream in streams:
            self._questions.put((IN_TIME, next(self._numbers), stream))

    def turn(self) -> float:
        """See to every moment that has come; the seconds until the next."""
        now = self._clock()
        while self._new:
            self._look(self._new.popleft(), now)
        while self._moments and self._moments[0][0] <= now:
            _, ticket, stream = heapq.heappop(self._moments)
            if ticket == stream.ticket:  # else it has got another moment since
                self._look(stream, now)
        return self._moments[0][0] - now if self._moments else float("inf")

    @property
    def has_question(self) -> bool:
        """Whether ``answer`` would not wait."""
        return not self._questions.empty()

    def answer(self) -> None:
        """Ask the next questions; waits for one. Those that wait already are asked together, so
        that their checks are one call to SpiceDB."""
        streams = {self._questions.get()[2]: None}
        with suppress(Empty):
            while len(streams) < TOGETHER:
                streams[self._questions.get_nowait()[2]] = None
        run_together(
            [partial(self._ask_of_stream, stream) for stream in streams if not stream.is_over]
        )
        self._woken.set()

    def _ask_of_stream(self, stream: ScheduledStream) -> None:
        try:
            stream.ask(self._clock(), Deadline.after(ASK_DEADLINE_SECONDS, self._clock))
        except Exception:  # the others of its call must be asked, and this one ends in time
            _log.exception("stream_not_asked_about")
        self._new.append(stream)

    def _look(self, stream: ScheduledStream, now: float) -> None:
        if stream.is_over:
            return
        if now >= stream.ask_at:
            stream.ask_at = float("inf")
            self._questions.put((IN_TIME, next(self._numbers), stream))
        stream.ticket = next(self._numbers)
        heapq.heappush(self._moments, (stream.look(now), stream.ticket, stream))

    def _start(self) -> None:
        with self._lock:
            if self._is_started:
                return
            self._is_started = True
        threading.Thread(target=self._run_turns, name="streams", daemon=True).start()
        for number in range(ASKING_THREADS):
            threading.Thread(target=self._ask, name=f"streams-{number}", daemon=True).start()

    def _run_turns(self) -> None:
        while True:
            try:
                seconds = self.turn()
            except Exception:
                _log.exception("streams_not_attended")
                seconds = 1.0
            # A wake for each stream of a crowd would be a turn for each.
            self._woken.wait(min(seconds, 3600.0))
            time.sleep(0.02)
            self._woken.clear()

    def _ask(self) -> None:
        while True:
            try:
                self.answer()
            except Exception:
                _log.exception("stream_not_asked_about")
