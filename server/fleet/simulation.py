"""The run: agents on their ticks, a bounded number of requests at once, everything tallied."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from server.fleet.agents import Agent
from server.fleet.schedule import HEARTBEAT_SECONDS, PULL_SECONDS, Due, Schedule
from server.fleet.tally import HEARTBEAT, PULL, Tally, is_served

INTERVALS = {HEARTBEAT: HEARTBEAT_SECONDS, PULL: PULL_SECONDS}
# The longest sleep between two looks at the schedule (seconds).
LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """How the fleet behaves. ``seconds`` of ticks; ``clients`` requests at once at most."""

    seconds: float
    clients: int
    jitter: float
    herd: bool
    seed: int


class Simulation:
    """Agents are only ever used by one request at a time, as one plexd is."""

    def __init__(self, agents: Sequence[Agent], run: Run) -> None:
        self.tally = Tally()
        self._agents = agents
        self._run = run
        self._schedule = Schedule(Random(run.seed), run.jitter, run.herd)
        self._turns = [threading.Lock() for _ in agents]
        self._finished: list[Due] = []
        self._finishing = threading.Lock()

    def run(self, look: Callable[[float], None], stopped: Callable[[], bool]) -> None:
        """Ticks until the time is over; ``look`` is told how many seconds have passed."""
        for number in range(len(self._agents)):
            for kind, interval in INTERVALS.items():
                self._schedule.start(number, kind, interval)
        started = time.monotonic()
        with ThreadPoolExecutor(self._run.clients) as pool:
            while (now := time.monotonic() - started) < self._run.seconds and not stopped():
                self._put_back(now)
                while (due := self._schedule.pop(now)) is not None:
                    pool.submit(self._serve, due, started)
                look(now)
                next_at = self._schedule.next_at
                wait = LOOK if next_at is None else min(LOOK, max(0.0, next_at - now))
                time.sleep(wait)

    def settle(self) -> list[int]:
        """One more pull of every agent, so that each picture is of now; who got none."""

        def last(number: int) -> int | None:
            return None if is_served(self._agents[number].pull().status) else number

        with ThreadPoolExecutor(self._run.clients) as pool:
            futures: list[Future[int | None]] = [
                pool.submit(last, number) for number in range(len(self._agents))
            ]
            found = [future.result() for future in futures]
        return [number for number in found if number is not None]

    def _serve(self, due: Due, started: float) -> None:
        agent = self._agents[due.agent]
        with self._turns[due.agent]:
            at = time.monotonic() - started
            answered = agent.pull() if due.kind == PULL else agent.heartbeat()
        self.tally.add(due.kind, at, at - due.at, answered.status, answered.seconds)
        with self._finishing:
            self._finished.append(due)

    def _put_back(self, now: float) -> None:
        with self._finishing:
            finished, self._finished = self._finished, []
        for due in finished:
            self._schedule.again(due, INTERVALS[due.kind], now)
