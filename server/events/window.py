"""The newest events of the bus, in memory: what a stream that comes back has missed.

The window has an age, because agents refuse older events, and a size. ``floor`` is the position
from which it is complete: every event after it is in the window.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

# Of all events together; the oldest leave first.
WINDOW_BYTES = 64 * 1024 * 1024


class NodeOfDomain(Protocol):
    """A Node that holds a stream; ``joined_seq`` as in composer.event_streams.Subscriber."""

    @property
    def node_id(self) -> UUID: ...

    @property
    def joined_seq(self) -> int: ...


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An event of a Domain, as it is sent.

    - ``seq``: of its row in the ledger. A Domain's event is for Nodes that joined before it.
    - ``node_id``: the only Node that gets it; None where the whole Domain does.
    - ``peer_id``: the Node that a ``peer_*`` event is about, which does not get it.
    - ``published``: when the bus took it (Unix seconds).
    """

    sequence: int
    seq: int
    domain_id: UUID
    node_id: UUID | None
    peer_id: UUID | None
    published: float
    frame: bytes

    def is_for(self, node: NodeOfDomain) -> bool:
        """Whether this Node of the Domain gets it."""
        if self.node_id is not None:
            return self.node_id == node.node_id
        return self.peer_id != node.node_id and self.seq >= node.joined_seq


class Window:
    """The newest events. Not thread-safe: the fan-out has the lock. ``clock`` is Unix seconds."""

    def __init__(
        self,
        seconds: float,
        max_bytes: int = WINDOW_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.floor = self.last = 0
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._events: deque[BusEvent] = deque()
        self._by_domain: dict[UUID, deque[BusEvent]] = {}
        self._skipped: dict[UUID, int] = {}  # the last event of a Domain that is not here

    def restart(self, floor: int) -> None:
        """Forget everything: the events after ``floor`` follow."""
        self._events.clear()
        self._by_domain.clear()
        self._skipped.clear()
        self._bytes = 0
        self.floor = self.last = floor

    def is_old(self, event: BusEvent) -> bool:
        """Whether an agent may refuse the event for its age."""
        return event.published < self._clock() - self._seconds

    def add(self, event: BusEvent) -> None:
        """The next event of the bus."""
        self.last = event.sequence
        self._events.append(event)
        self._by_domain.setdefault(event.domain_id, deque()).append(event)
        self._bytes += len(event.frame)
        self.trim()

    def skip(self, sequence: int, domain_id: UUID) -> None:
        """The next event of the bus cannot be sent: the Nodes of its Domain must pull."""
        self.last = sequence
        self._skipped[domain_id] = sequence

    def trim(self) -> None:
        """Let the events go that are too old, or for which there is no room."""
        while self._events and (self._bytes > self._max_bytes or self.is_old(self._events[0])):
            event = self._events.popleft()
            of_domain = self._by_domain[event.domain_id]
            of_domain.popleft()
            if not of_domain:
                del self._by_domain[event.domain_id]
            self._bytes -= len(event.frame)
            self.floor = event.sequence

    def covers(self, position: int, domain_id: UUID) -> bool:
        """Whether every event of a Domain after the position is here."""
        self.trim()
        floor = max(self.floor, self._skipped.get(domain_id, 0))
        return floor <= position <= self.last

    def after(self, position: int, domain_id: UUID) -> Sequence[BusEvent]:
        """The events of a Domain after a position, in order."""
        missed: list[BusEvent] = []
        for event in reversed(self._by_domain.get(domain_id, ())):
            if event.sequence <= position:
                break
            missed.append(event)
        missed.reverse()
        return missed
