"""Passes each event to the streams of its Nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from uuid import UUID

from composer.event_streams import Subscriber
from server.events.schedule import ScheduledStream
from server.events.stream_list import ListedStream
from server.events.window import BusEvent, Window

# After this many streams the sending loop runs, so that the first frames leave early.
FIRST = 100


class Receiver(ScheduledStream, ListedStream, Protocol):
    """A stream that is held."""

    domain_id: UUID
    joined_seq: int
    position: int  # events up to here are known to the client

    def send(self, frame: bytes) -> bool:
        """Queue a frame; never waits. False where it is not taken."""
        ...

    def end(self) -> None:
        """The client must open it anew."""
        ...


class FanOut:
    """Events come from one thread, receivers from any. Nobody waits while an event is sent.

    A receiver that joins gets what it has missed, and then every event in order, none twice.
    """

    def __init__(self, window: Window, on_delivered: Callable[[int], None]) -> None:
        """``on_delivered`` gets the number of streams that took an event."""
        self._window = window
        self._on_delivered = on_delivered
        self._lock = threading.Lock()
        self._by_domain: dict[UUID, dict[Receiver, None]] = {}
        self._by_node: dict[UUID, dict[Receiver, None]] = {}

    # the bus

    def restart(self, floor: int) -> None:
        """The bus has events after ``floor``, and some before it are lost: all streams end."""
        with self._lock:
            self._window.restart(floor)
            receivers = self._all()
        for receiver in receivers:
            receiver.end()

    def take(self, event: BusEvent) -> None:
        """Send the next event of the bus; one that agents would refuse for its age is skipped."""
        if self._window.is_old(event):
            self.skip(event.sequence, event.domain_id)
            return
        with self._lock:
            self._window.add(event)
            receivers = self._receivers(event)
        delivered = 0
        for number, receiver in enumerate(receivers):
            if event.sequence > receiver.position and event.is_for(receiver):
                delivered += receiver.send(event.frame)
            if number == FIRST:
                time.sleep(0)
        if delivered:
            self._on_delivered(delivered)

    def skip(self, sequence: int, domain_id: UUID) -> None:
        """The next event of the bus is not sent. The streams of its Domain end, and their next
        opening says that their agents must pull."""
        with self._lock:
            self._window.skip(sequence, domain_id)
            receivers = tuple(self._by_domain.get(domain_id, ()))
        for receiver in receivers:
            if sequence > receiver.position:
                receiver.end()

    # streams

    @property
    def last(self) -> int:
        """The position of the newest event."""
        return self._window.last

    def covers(self, position: int, domain_id: UUID) -> bool:
        """Whether a stream of a Domain can be resumed from a position."""
        with self._lock:
            return self._window.covers(position, domain_id)

    def missed(self, position: int, subscriber: Subscriber) -> Sequence[BusEvent]:
        """The events of a Node after a position, in order."""
        with self._lock:
            missed = self._window.after(position, subscriber.domain_id)
        return [event for event in missed if event.is_for(subscriber)]

    def join(self, receiver: Receiver) -> Sequence[BusEvent]:
        """Send the receiver every later event; the events that it has missed."""
        with self._lock:
            self._by_domain.setdefault(receiver.domain_id, {})[receiver] = None
            self._by_node.setdefault(receiver.node_id, {})[receiver] = None
            missed = self._window.after(receiver.position, receiver.domain_id)
            receiver.position = max(receiver.position, self._window.last)
        return [event for event in missed if event.is_for(receiver)]

    def leave(self, receiver: Receiver) -> None:
        """Send the receiver nothing more; harmless to repeat."""
        with self._lock:
            _remove(self._by_domain, receiver.domain_id, receiver)
            _remove(self._by_node, receiver.node_id, receiver)

    def of_node(self, node_id: UUID) -> Iterable[Receiver]:
        """The streams of a Node."""
        with self._lock:
            return tuple(self._by_node.get(node_id, ()))

    def of_domain(self, domain_id: UUID) -> Sequence[Receiver]:
        """The streams of a Domain."""
        with self._lock:
            return tuple(self._by_domain.get(domain_id, ()))

    def all(self) -> Iterable[Receiver]:
        """Every stream."""
        with self._lock:
            return self._all()

    def _receivers(self, event: BusEvent) -> Iterable[Receiver]:
        if event.node_id is not None:
            return tuple(self._by_node.get(event.node_id, ()))
        return tuple(self._by_domain.get(event.domain_id, ()))

    def _all(self) -> Iterable[Receiver]:
        return tuple(receiver for found in self._by_domain.values() for receiver in found)


def _remove(index: dict[UUID, dict[Receiver, None]], key: UUID, receiver: Receiver) -> None:
    found = index.get(key, {})
    found.pop(receiver, None)
    if not found:
        index.pop(key, None)
