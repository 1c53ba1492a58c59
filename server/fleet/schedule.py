"""When each agent is due: plexd's ticks, without jitter unless asked for."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random

HEARTBEAT_SECONDS, PULL_SECONDS = 30.0, 60.0
# Of a report that changed (not plexd's number: it sends what there is to say).
REPORT_SECONDS = 300.0


@dataclass(order=True, frozen=True, slots=True)
class Due:
    """One tick; ``at`` in seconds since the run began."""

    at: float
    number: int
    agent: int = field(compare=False)
    kind: str = field(compare=False)


class Schedule:
    """A heap of ticks. Not for several threads.

    ``jitter`` moves each tick by up to that share of its interval, either way.
    """

    def __init__(self, random: Random, jitter: float = 0.0) -> None:
        self._random = random
        self._jitter = jitter
        self._heap: list[Due] = []
        self._count = 0

    def start(self, agent: int, kind: str, within: float) -> None:
        """The first tick, at some moment of the first ``within`` seconds."""
        self._push(self._random.uniform(0.0, within), agent, kind)

    def again(self, due: Due, interval: float, now: float) -> None:
        """The tick after ``due``; what passed meanwhile is dropped, not made up."""
        moved = interval * self._random.uniform(-self._jitter, self._jitter)
        self._push(max(due.at + interval + moved, now), due.agent, due.kind)

    def pop(self, now: float) -> Due | None:
        """A tick that is due, the oldest first."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    @property
    def next_at(self) -> float | None:
        return self._heap[0].at if self._heap else None

    def _push(self, at: float, agent: int, kind: str) -> None:
        self._count += 1
        heapq.heappush(self._heap, Due(at, self._count, agent, kind))
