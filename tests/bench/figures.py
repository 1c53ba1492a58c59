"""A figure: what one kind of request costs, measured in rounds beside what it is compared with."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.load import Measured, load
from tests.bench.served import Served, cpu_of

WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Cost:
    """One round: milliseconds of CPU an answer, by part, and what the client saw."""

    cpu: Mapping[str, float]
    measured: Measured
    right: float  # the share of answers that had the wanted status

    @property
    def worker(self) -> float:
        return self.cpu[WORKER]

    @property
    def total(self) -> float:
        """Of all processes of the service, the client's left out."""
        return sum(self.cpu.values())


@dataclass(frozen=True, slots=True)
class Subject:
    """A service to ask: ``cpu`` is CPU seconds so far by part, ``requests`` are sent in turn.

    ``operation`` and ``status`` are what the service must count; None where it counts nothing.
    """

    name: str
    url: str
    requests: Sequence[bytes]
    cpu: Callable[[], Mapping[str, float]]
    counted: Callable[[], Mapping[str, int]] = dict
    status: str = ""

    def warm(self, seconds: float, connections: int) -> None:
        load(self.url, self.requests, seconds, connections)

    def cost(self, seconds: float, connections: int) -> Cost:
        before, counted = self.cpu(), self.counted()
        found = load(self.url, self.requests, seconds, connections)
        time.sleep(0.3)  # the audit's batch belongs to the answers
        after, counts = self.cpu(), self.counted()
        new = {status: counts[status] - counted.get(status, 0) for status in counts}
        right = new.get(self.status, 0) / max(sum(new.values()), 1) if self.status else 1.0
        each = {part: (after[part] - before[part]) * 1000 / found.answers for part in after}
        return Cost(each, found, right)


def of_service(
    served: Served, name: str, requests: Sequence[bytes], operation: str, status: str = "200"
) -> Subject:
    """An operation of a whole service."""
    return Subject(
        name, served.url, requests, served.cpu, lambda: served.answered(operation), status
    )


def of_process(name: str, url: str, pid: int, requests: Sequence[bytes]) -> Subject:
    """Anything else that answers HTTP."""
    return Subject(name, url, requests, lambda: {WORKER: cpu_of(pid)})


def interleaved(
    subjects: Sequence[Subject], rounds: int, seconds: float, connections: int
) -> dict[str, list[Cost]]:
    """The rounds of each subject, in turn, so that a busy minute meets all of them."""
    found: dict[str, list[Cost]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            found[subject.name].append(subject.cost(seconds, connections))
    return found


def middle(rounds: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """The median of the rounds."""
    return statistics.median(map(of, rounds))


def of_part(rounds: Sequence[Cost], part: str) -> float:
    """The median of one part's CPU."""
    return middle(rounds, lambda cost: cost.cpu[part])


def summary(rounds: Sequence[Cost]) -> dict[str, object]:
    """Of a subject's rounds, for the JSON file: medians, and the spread of the worker's CPU."""
    parts = {f"{part}_ms": round(of_part(rounds, part), 3) for part in rounds[0].cpu}
    return {
        **parts,
        "total_ms": round(middle(rounds, lambda c: c.total), 3),
        "client_ms": round(middle(rounds, lambda c: c.measured.cpu * 1000 / c.measured.answers), 3),
        "client_of_a_core": round(middle(rounds, lambda c: c.measured.cpu / c.measured.seconds), 2),
        "per_second": round(middle(rounds, lambda c: c.measured.per_second), 1),
        "p50_ms": round(middle(rounds, lambda c: c.measured.p50_ms), 2),
        "p99_ms": round(middle(rounds, lambda c: c.measured.p99_ms), 2),
        "answers": sum(round_.measured.answers for round_ in rounds),
        "refused": sum(round_.measured.refused + round_.measured.broken for round_ in rounds),
        "right": round(min(round_.right for round_ in rounds), 4),
        "worker_ms_rounds": [round(round_.worker, 3) for round_ in rounds],
    }


def load_average() -> list[float]:
    """Of the machine, now: one, five and fifteen minutes."""
    return [round(average, 2) for average in os.getloadavg()]
