"""Event streams: their subscribers, their positions, and the port that serves them.

A position is the sequence of an event in the bus. It is the ``id`` of a frame, and what an agent
sends back as ``Last-Event-ID``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline


class Decision(Enum):
    """Whether a caller may still hold its stream; ``UNDECIDED`` where a dependency is away."""

    YES = auto()
    NO = auto()
    UNDECIDED = auto()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A caller that may hold the stream of a Node.

    ``joined_seq``: events of the Domain with a lower ``seq`` are from before the Node joined it.
    ``ask_again`` passes the gates once more and never raises. ``expires_at`` is when the caller's
    token is refused; None where its credential has no such moment.
    """

    node_id: UUID
    domain_id: UUID
    joined_seq: int
    ask_again: Callable[[Deadline], Decision]
    expires_at: datetime | None = None


class Outlet(Protocol):
    """The open answer of one client. Any thread may write; nothing here waits."""

    @property
    def is_overrun(self) -> bool:
        """Whether it was closed because the client did not read."""
        ...

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet."""
        ...

    def write(self, data: bytes) -> bool:
        """Queue bytes. False where the answer is closed, or closes because too much is unread."""
        ...

    def close(self) -> None:
        """End the answer after what was written; harmless to repeat."""
        ...


# Makes the Outlet of the answer under way. The function that it takes is called once, when the
# client is gone, and must not wait.
Hold = Callable[[Callable[[], None]], Outlet]


class EventStream(Protocol):
    """A stream that may be held: the gates have passed, and its position is known."""

    def begin(self, hold: Hold | None) -> bytes:
        """Hold the stream; the frames with which the answer begins.

        Those of events are strictly after the position. Where ``hold`` is None the answer ends
        with them.
        """
        ...


class EventStreams(Protocol):
    """The streams that this process serves."""

    def subscribe(
        self, subscriber: Subscriber, after: int | None, deadline: Deadline
    ) -> EventStream:
        """A stream from ``after``, or from now where it is None.

        A position that cannot be resumed makes a stream that begins with ``resync_required``.
        Raises EventStreamUnavailable where the bus is away, DatastoreUnavailable.
        """
        ...
