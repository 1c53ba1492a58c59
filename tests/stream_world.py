"""Event streams without a bus: clients, and a world in which a test passes the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.event_streams import Decision, Subscriber
from db.coalescing import Coalesced
from server.events.fan_out import FanOut
from server.events.schedule import StreamSchedule
from server.events.streams import NodeEventStream, NodeEventStreams
from server.events.window import Window
from tests.events import NOW, declared_frames, envelope, event, read_frames
from tests.factories import DOMAIN, node_id
from tests.fakes import FakeClock

WINDOW = 240.0
FRAMES = declared_frames()


@dataclass
class Client:
    """An outlet: what the client was sent, and whether its answer ended."""

    sent: bytes = b""
    is_closed: bool = False
    is_overrun: bool = False
    unread: int = 0
    gone: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> bool:
        if not self.is_closed:
            self.sent += data
        return not self.is_closed

    def close(self) -> None:
        self.is_closed = True

    @property
    def positions(self) -> list[int]:
        return [position for position, _, _ in read_frames(self.sent)]


@dataclass
class FakeBus:
    is_up: bool = True
    last: int = 10

    def is_followed(self, deadline: Deadline) -> bool:
        return self.is_up

    def last_position(self, deadline: Deadline) -> int:
        return self.last


@dataclass
class FakeSigned:
    """Envelopes of the two events that are made for a stream."""

    transition: list[bytes] = field(default_factory=list)

    def opening(
        self, domain_id: UUID, node_id: UUID, must_pull: bool, deadline: Deadline
    ) -> list[bytes]:
        resync = envelope("resync_required", f"node:{node_id}", {})
        return [*self.transition, *([resync] if must_pull else [])]


@dataclass
class FakeRecorder:
    streams: int = 0
    cuts: int = 0
    resyncs: int = 0
    delivered: list[int] = field(default_factory=list)

    def streams_changed(self, change: int) -> None:
        self.streams += change

    def cut(self) -> None:
        self.cuts += 1

    def resynced(self) -> None:
        self.resyncs += 1


class Checks(Coalesced[UUID, bool]):
    """SpiceDB, which says yes; ``calls`` has the number of questions of each call."""

    errors = (AuthzUnavailable,)
    patience = 1.0
    stage = "check"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def _ask_alone(self, question: UUID, deadline: Deadline) -> bool:
        return self._ask_together([question], deadline)[0]

    def _ask_together(self, questions: Sequence[UUID], deadline: Deadline) -> list[bool]:
        self.calls.append(len(questions))
        return [True] * len(questions)

    def _refusal(self) -> Exception | None:
        return None

    def _late_error(self) -> Exception:
        return AuthzUnavailable("late")

    def _stands_still(self) -> bool:
        return False


class World:
    """The bus has positions up to 10, and this process all of them since 5."""

    def __init__(self) -> None:
        self.clock, self.wall_clock = FakeClock(), FakeClock(NOW)
        self.bus, self.signed, self.recorder = FakeBus(), FakeSigned(), FakeRecorder()
        self.fan_out = FanOut(Window(WINDOW, clock=self.wall_clock), self.recorder.delivered.append)
        self.fan_out.restart(5)
        for number in range(6, 11):
            self.fan_out.take(event(number))
        self.schedule = StreamSchedule(self.clock, threads=False)
        self.streams = NodeEventStreams(
            self.fan_out,
            self.bus,
            self.signed,
            FRAMES,
            self.schedule,
            self.recorder,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )
        self.decisions = [Decision.YES]
        self.checks = Checks()
        self.asked_about: list[UUID] = []  # Nodes
        self.failing: set[UUID] = set()  # Nodes whose question raises

    @property
    def asked(self) -> int:
        return len(self.asked_about)

    def ask_again(self, node: UUID) -> Decision:
        self.asked_about.append(node)
        if node in self.failing:
            raise RuntimeError
        self.checks.ask(node, Deadline.after(1, self.clock))
        return self.decisions[-1]

    def open(
        self,
        after: int | None = None,
        number: int = 1,
        node: UUID | None = None,
        domain_id: UUID = DOMAIN,
        expires_at: datetime | None = None,
        joined_seq: int = 0,
    ) -> NodeEventStream:
        addressed = node or node_id(number)
        subscriber = Subscriber(
            node_id=addressed,
            domain_id=domain_id,
            joined_seq=joined_seq,
            ask_again=lambda deadline: self.ask_again(addressed),
            expires_at=expires_at,
        )
        return self.streams.subscribe(subscriber, after, Deadline.after(1, self.clock))

    def hold(self, after: int | None = None, **values: object) -> Client:
        """A client whose stream has begun."""
        return self.begun(self.open(after, **values))  # type: ignore[arg-type]

    def begun(self, stream: NodeEventStream) -> Client:
        """The client of a stream that begins."""
        client = Client()

        def hold(gone: Callable[[], None]) -> Client:
            client.gone = gone
            return client

        client.sent = stream.begin(hold)
        return client

    def pass_time(self, seconds: float) -> None:
        """In steps, with everything that is due; questions are answered at once."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + 1, until)
            self.schedule.turn()
            while self.schedule.has_question:
                self.schedule.answer()
