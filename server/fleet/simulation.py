"""A run of a fleet: the agents' ticks, a bounded number of requests at once, a tally of all."""

from __future__ import annotations

import heapq
import resource
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

from server.fleet.agents import Agent
from server.fleet.streams import AgentStream, Streams
from server.fleet.tally import EVENT, HEARTBEAT, PULL, REPORT, STREAM, TOKEN, Tally
from server.fleet.wire import AgentAnswer

HEARTBEAT_SECONDS, PULL_SECONDS = 30.0, 60.0
# Between an agent's reports. plexd has no such interval: it reports when something changed.
REPORT_SECONDS = 300.0
INTERVALS = {HEARTBEAT: HEARTBEAT_SECONDS, PULL: PULL_SECONDS, REPORT: REPORT_SECONDS}
# What each agent of a herd sends at the same time as the others.
AT_ONCE = (HEARTBEAT, PULL)
# The longest sleep before the schedule is read again (seconds).
MAX_SLEEP = 0.05
# A herd is thousands of threads, and none of them needs the usual 8 MiB.
STACK_BYTES = 256 * 1024
# Descriptors beside those of the requests: the terminal, the libraries, the ledger.
DESCRIPTORS = 64


@dataclass(order=True, frozen=True, slots=True)
class Due:
    """A tick of an agent; ``at`` in seconds since the run began."""

    at: float
    number: int
    agent: int = field(compare=False)
    kind: str = field(compare=False)


class Schedule:
    """Ticks by time, for one thread.

    ``jitter`` moves each tick by up to that share of its interval, earlier or later.
    """

    def __init__(self, random: Random, jitter: float = 0.0) -> None:
        self._random = random
        self._jitter = jitter
        self._heap: list[Due] = []
        self._count = 0

    def start(self, agent: int, kind: str, within: float) -> None:
        """Adds the first tick, at a random time in the first ``within`` seconds."""
        self._push(self._random.uniform(0.0, within), agent, kind)

    def again(self, due: Due, interval: float, now: float) -> None:
        """Adds the tick after ``due``. Ticks whose time has passed are left out."""
        moved = interval * self._random.uniform(-self._jitter, self._jitter)
        self._push(max(due.at + interval + moved, now), due.agent, due.kind)

    def pop(self, now: float) -> Due | None:
        """Removes and returns the oldest tick that is due; None where no tick is."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    @property
    def next_at(self) -> float | None:
        return self._heap[0].at if self._heap else None

    def _push(self, at: float, agent: int, kind: str) -> None:
        self._count += 1
        heapq.heappush(self._heap, Due(at=at, number=self._count, agent=agent, kind=kind))


@dataclass(frozen=True, slots=True)
class Run:
    """The fleet's behaviour: it ticks for ``seconds``, with ``clients`` requests at once at most.

    A herd has no such bound: every agent sends all of ``AT_ONCE``. With ``events`` each agent holds
    its event stream besides, and pulls at each connect and event.
    """

    seconds: float
    clients: int
    jitter: float
    herd: bool
    seed: int
    events: bool = False

    def threads(self, agents: int) -> int:
        """The most requests at once, each with a connection of its own."""
        return agents * len(AT_ONCE) if self.herd else self.clients


class Simulation:
    """An agent never has two requests of the same kind under way."""

    def __init__(self, agents: Sequence[Agent], run: Run) -> None:
        self.tally = Tally()
        self._agents = agents
        self._run = run
        self._schedule = Schedule(Random(run.seed), run.jitter)
        self._started = 0.0
        self._finished: list[Due] = []
        self._finishing = threading.Lock()

    def run(self, progress: Callable[[float], None], stopped: Callable[[], bool]) -> None:
        """Ticks until the time is over; ``progress`` gets the seconds since the run began.

        Raises RuntimeError where a herd needs more threads than the machine allows.
        """
        for number in range(len(self._agents)):
            for kind, interval in INTERVALS.items():
                at_once = self._run.herd and kind in AT_ONCE
                # Reports begin early, because a run is often shorter than their interval.
                self._schedule.start(number, kind, 0.0 if at_once else min(interval, PULL_SECONDS))
        streams = self._streams()
        with ThreadPoolExecutor(self._run.threads(len(self._agents))) as pool:
            if self._run.herd:
                self._release(pool)
            else:
                self._started = time.monotonic()
            streams.start()
            while (now := self._now()) < self._run.seconds and not stopped():
                self._put_back(now)
                while (due := self._schedule.pop(now)) is not None:
                    pool.submit(self._serve, due)
                progress(now)
                next_at = self._schedule.next_at
                wait = MAX_SLEEP if next_at is None else min(MAX_SLEEP, max(0.0, next_at - now))
                time.sleep(wait)
            streams.end()

    def _streams(self) -> Streams:
        """The streams of all agents; none without ``events``."""
        ended = threading.Event()

        def stream(number: int) -> AgentStream:
            return AgentStream(
                self._agents[number],
                pull=lambda: self._serve_event(number),
                on_opened=lambda status, seconds: self._note(STREAM, status, seconds),
                on_event=lambda seconds: self._note(EVENT, 200, seconds),
                ended=ended,
                random=Random(self._run.seed + number),
            )

        numbers = range(len(self._agents)) if self._run.events else ()
        return Streams([stream(number) for number in numbers], ended)

    def _serve_event(self, number: int) -> None:
        begun = self._now()
        self._tally(kind=PULL, due=begun, begun=begun, answered=self._agents[number].pull())

    def _note(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer of this moment, which took ``seconds``."""
        self.tally.add(
            kind=kind, due=self._now() - seconds, late=0.0, status=status, seconds=seconds
        )

    def _release(self, pool: ThreadPoolExecutor) -> None:
        """The first ticks, each in a thread. All threads wait at a barrier, and begin together."""
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
        except RuntimeError:  # no further thread is allowed: those at the barrier must end
            gate.abort()
            raise
        finally:
            threading.stack_size(usual)
        gate.wait()

    def _serve(self, due: Due) -> None:
        agent, begun = self._agents[due.agent], self._now()
        if due.kind == HEARTBEAT and agent.renews_in() < 0:
            self._tally(kind=TOKEN, due=begun, begun=begun, answered=agent.renew())
        exchange = {PULL: agent.pull, HEARTBEAT: agent.heartbeat, REPORT: agent.report}[due.kind]
        begun = self._now()
        self._tally(kind=due.kind, due=due.at, begun=begun, answered=exchange())
        with self._finishing:
            self._finished.append(due)

    def _tally(self, kind: str, due: float, begun: float, answered: AgentAnswer) -> None:
        self.tally.add(
            kind=kind, due=due, late=begun - due, status=answered.status, seconds=answered.seconds
        )

    def _put_back(self, now: float) -> None:
        with self._finishing:
            finished, self._finished = self._finished, []
        for due in finished:
            self._schedule.again(due, INTERVALS[due.kind], now)

    def _now(self) -> float:
        return time.monotonic() - self._started


def raise_descriptor_limit(connections: int) -> int:
    """Raises the soft limit of open files as far as needed; how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft - DESCRIPTORS)
