"""Stands-in for the event bus."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.event_streams import Hold, Outlet, Subscriber


@dataclass
class FakeEventStream:
    """Begins with one frame; ``outlet`` is what holds it then."""

    outlet: Outlet | None = None

    def begin(self, hold: Hold | None) -> bytes:
        if hold is not None:
            self.outlet = hold(lambda: None)
        return b"retry: 1000\nid: 1\n\n"


@dataclass
class FakeEventStreams:
    """Opens every stream, and keeps for whom and from where."""

    fails: Exception | None = None
    opened: list[tuple[Subscriber, int | None]] = field(default_factory=list)

    def subscribe(
        self, subscriber: Subscriber, after: int | None, deadline: Deadline
    ) -> FakeEventStream:
        if self.fails is not None:
            raise self.fails
        self.opened.append((subscriber, after))
        return FakeEventStream()
