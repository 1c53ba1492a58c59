"""The exchanges of a simulation: the time, the status and the latency of each."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PULL, HEARTBEAT, REPORT, TOKEN = "pull", "heartbeat", "report", "token"
STREAM, EVENT = "stream", "event"
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of exchange, summed up; in seconds, ``latencies`` in the order of QUANTILES.

    Latencies count from the time the exchange was due, so that a late simulator does not make a
    slow service look fast. At most ``latest_start`` of them is the simulator's own.
    """

    name: str
    count: int
    statuses: Counter[int]
    latencies: tuple[float, ...]
    latest_start: float


@dataclass(frozen=True, slots=True)
class Second:
    """The answers in a second of the run."""

    at: int
    statuses: Counter[int]
    p50: float
    p99: float


class Tally:
    """Written by many threads. Times are seconds since the run began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: list[str] = []
        self._statuses = array("i")
        self._at = array("d")
        self._seconds = array("d")
        self._late = array("d")
        self.failed = 0  # exchanges that were neither a 2xx nor a 304

    def add(self, kind: str, due: float, late: float, status: int, seconds: float) -> None:
        """``due`` at that time, begun ``late`` seconds later, answered ``seconds`` after that."""
        with self._lock:
            self._kinds.append(kind)
            self._statuses.append(status)
            self._at.append(due + late + seconds)
            self._seconds.append(late + seconds)
            self._late.append(late)
            self.failed += not is_served(status)

    def __len__(self) -> int:
        return len(self._kinds)

    def kinds(self) -> list[Kind]:
        """Every kind that has an exchange."""
        with self._lock:
            kinds = list(self._kinds)
            rows = list(zip(kinds, self._statuses, self._seconds, self._late, strict=True))
        return [
            Kind(
                name=kind,
                count=len(of_kind),
                statuses=Counter(status for _, status, _, _ in of_kind),
                latencies=quantiles([seconds for _, _, seconds, _ in of_kind]),
                latest_start=max(late for _, _, _, late in of_kind),
            )
            for kind in sorted(set(kinds))
            if (of_kind := [row for row in rows if row[0] == kind])
        ]

    def seconds(self) -> list[Second]:
        """The seconds that have an answer."""
        with self._lock:
            rows = list(zip(self._at, self._statuses, self._seconds, strict=True))
        by_second: dict[int, list[tuple[int, float]]] = {}
        for at, status, took in rows:
            by_second.setdefault(int(at), []).append((status, took))
        return [_second(at, by_second[at]) for at in sorted(by_second)]


def is_served(status: int) -> bool:
    return 200 <= status < 300 or status == 304


def quantiles(values: Iterable[float], wanted: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """The quantiles by nearest rank; zeros where there are no values."""
    ordered = sorted(values)
    if not ordered:
        return (0.0,) * len(wanted)
    last = len(ordered) - 1
    return tuple(ordered[min(last, int(q * len(ordered)))] for q in wanted)


def _second(at: int, rows: Sequence[tuple[int, float]]) -> Second:
    p50, p99 = quantiles([took for _, took in rows], (0.5, 0.99))
    return Second(at=at, statuses=Counter(status for status, _ in rows), p50=p50, p99=p99)
