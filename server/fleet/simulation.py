"""The run: agents on their ticks, a bounded number of requests at once, everything tallied."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from server.fleet.agents import Agent
from server.fleet.schedule import (
    HEARTBEAT_SECONDS,
    PULL_SECONDS,
    REPORT_SECONDS,
    Due,
    Schedule,
)
from server.fleet.tally import HEARTBEAT, PULL, REPORT, TOKEN, Tally
from server.fleet.wire import Answered

INTERVALS = {HEARTBEAT: HEARTBEAT_SECONDS, PULL: PULL_SECONDS, REPORT: REPORT_SECONDS}
# What a herd does in its first instant: an agent's parts run beside each other.
AT_ONCE = (HEARTBEAT, PULL)
# The longest sleep between two looks at the schedule (seconds).
LOOK = 0.05
# A herd is thousands of threads, none of which needs the usual 8 MiB.
STACK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """How the fleet behaves. ``seconds`` of ticks; ``clients`` requests at once at most, which a
    herd does not heed: there are as many as it has agents and parts."""

    seconds: float
    clients: int
    jitter: float
    herd: bool
    seed: int

    def threads(self, agents: int) -> int:
        """Requests at once at most, each with a connection of its own."""
        return agents * len(AT_ONCE) if self.herd else self.clients


class Simulation:
    """No two requests of one kind are ever under way for the same agent."""

    def __init__(self, agents: Sequence[Agent], run: Run) -> None:
        self.tally = Tally()
        self._agents = agents
        self._run = run
        self._schedule = Schedule(Random(run.seed), run.jitter)
        self._started = 0.0
        self._finished: list[Due] = []
        self._finishing = threading.Lock()

    def run(self, look: Callable[[float], None], stopped: Callable[[], bool]) -> None:
        """Ticks until the time is over; ``look`` is told how many seconds have passed.

        Raises RuntimeError where a herd is more threads than the machine has room for.
        """
        for number in range(len(self._agents)):
            for kind, interval in INTERVALS.items():
                at_once = self._run.herd and kind in AT_ONCE
                # A run is short beside the interval of reports, and is to see some.
                self._schedule.start(number, kind, 0.0 if at_once else min(interval, PULL_SECONDS))
        with ThreadPoolExecutor(self._run.threads(len(self._agents))) as pool:
            if self._run.herd:
                self._release(pool)
            else:
                self._started = time.monotonic()
            while (now := self._now()) < self._run.seconds and not stopped():
                self._put_back(now)
                while (due := self._schedule.pop(now)) is not None:
                    pool.submit(self._serve, due)
                look(now)
                next_at = self._schedule.next_at
                wait = LOOK if next_at is None else min(LOOK, max(0.0, next_at - now))
                time.sleep(wait)

    def _release(self, pool: ThreadPoolExecutor) -> None:
        """The first ticks, each in a thread that stands ready before the run begins for all."""
        dues = []
        while (due := self._schedule.pop(0.0)) is not None:
            dues.append(due)

        def begin() -> None:
            self._started = time.monotonic()

        gate = threading.Barrier(len(dues) + 1, begin)

        def serve(due: Due) -> None:
            gate.wait()
            self._serve(due)

        usual = threading.stack_size(STACK_BYTES)
        try:
            for due in dues:
                pool.submit(serve, due)
        except RuntimeError:  # no room for another thread: those that wait are let go
            gate.abort()
            raise
        finally:
            threading.stack_size(usual)
        gate.wait()

    def _serve(self, due: Due) -> None:
        agent, begun = self._agents[due.agent], self._now()
        if due.kind == HEARTBEAT and agent.renews_in() < 0:
            self._tally(TOKEN, begun, begun, agent.renew())
        exchange = {PULL: agent.pull, HEARTBEAT: agent.heartbeat, REPORT: agent.report}[due.kind]
        begun = self._now()
        self._tally(due.kind, due.at, begun, exchange())
        with self._finishing:
            self._finished.append(due)

    def _tally(self, kind: str, due: float, begun: float, answered: Answered) -> None:
        self.tally.add(kind, due, begun - due, answered.status, answered.seconds)

    def _put_back(self, now: float) -> None:
        with self._finishing:
            finished, self._finished = self._finished, []
        for due in finished:
            self._schedule.again(due, INTERVALS[due.kind], now)

    def _now(self) -> float:
        return time.monotonic() - self._started
