"""The streams that a process holds: opened, kept alive, asked about again, ended.

A held stream has no thread. One thread looks after all of them, and few ask the gates again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import randint, uniform
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import EventStreamUnavailable
from composer.event_streams import Decision, Hold, Outlet, Subscriber
from server.events.fan_out import FanOut
from server.events.frames import KEEP_ALIVE, EventFrames, end_of_opening, frame
from server.events.schedule import StreamSchedule

KEEP_ALIVE_SECONDS = 25.0
# The gates are passed again this long after the last yes, and sooner the first time, so that the
# streams of a crowd do not ask at once.
ASK_SECONDS = 40.0
ASK_AGAIN_SECONDS = 4.0  # after no decision
# A stream ends when its last yes is this old. Less than 60 s by the time that ending it may take.
YES_SECONDS = 59.0
# A stream that has missed more than this pulls: an agent reads less in a snapshot of 10,000 peers.
# A client that was cut for not reading has missed less (server/gunicorn/stream.py).
MISSED_BYTES = 1_048_576
# What a client waits before it opens its stream again (ms): so that those of a worker that ends do
# not come at once.
RETRY_MS = (1_000, 5_000)


class Bus(Protocol):
    """The state of the bus as the consumer knows it (consumer.py)."""

    def is_followed(self, deadline: Deadline) -> bool:
        """Whether this process has the newest events; waits for it at a start."""
        ...

    def last_position(self, deadline: Deadline) -> int:
        """The position of the newest event in the bus. Raises EventStreamUnavailable."""
        ...


class SignedEvents(Protocol):
    """Events that are made for one stream, signed with the key of its Domain."""

    def opening(
        self, domain_id: UUID, node_id: UUID, must_pull: bool, deadline: Deadline
    ) -> Sequence[bytes]:
        """The envelopes with which a stream begins.

        Raises DatastoreUnavailable, EventStreamUnavailable.

        ``signing_key_rotated`` while the last rotation of the Domain's key is in transition, and
        ``resync_required`` where the agent must pull.
        """
        ...


class StreamRecorder(Protocol):
    """Counts streams and events."""

    def streams_changed(self, change: int) -> None: ...

    def cut(self) -> None: ...

    def resynced(self) -> None: ...


class NodeEventStreams:
    """Implements composer.event_streams.EventStreams. ``clock`` is monotonic seconds."""

    def __init__(
        self,
        fan_out: FanOut,
        bus: Bus,
        signed: SignedEvents,
        frames: EventFrames,
        schedule: StreamSchedule,
        recorder: StreamRecorder,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``wall_clock`` is Unix seconds."""
        self._fan_out = fan_out
        self._bus = bus
        self._signed = signed
        self._frames = frames
        self._schedule = schedule
        self._recorder = recorder
        self._clock = clock
        self._wall_clock = wall_clock

    def subscribe(
        self, subscriber: Subscriber, after: int | None, deadline: Deadline
    ) -> NodeEventStream:
        """See composer.event_streams.EventStreams."""
        if not self._bus.is_followed(deadline):
            raise EventStreamUnavailable("the events of the bus are not followed")
        now = self._clock()
        ends_at = float("inf")
        if subscriber.expires_at is not None:
            ends_at = now + subscriber.expires_at.timestamp() - self._wall_clock()
        position, must_pull = self._position(subscriber, after, deadline)
        opening = self._opening(
            subscriber=subscriber, position=position, must_pull=must_pull, deadline=deadline
        )
        return NodeEventStream(
            subscriber,
            position,
            opening,
            fan_out=self._fan_out,
            schedule=self._schedule,
            recorder=self._recorder,
            now=now,
            ends_at=ends_at,
        )

    def _position(
        self, subscriber: Subscriber, after: int | None, deadline: Deadline
    ) -> tuple[int, bool]:
        """The position at which the stream goes on, and whether events before it are lost."""
        last = self._fan_out.last
        if after is None:
            return last, False
        # Another process may have sent an event that this one has not read yet.
        if after > last and after <= self._bus.last_position(deadline):
            return after, False
        if not self._fan_out.covers(after, subscriber.domain_id):
            return last, True
        missed = self._fan_out.missed(after, subscriber)
        if sum(len(event.frame) for event in missed) > MISSED_BYTES:
            return last, True
        return after, False

    def _opening(
        self, subscriber: Subscriber, position: int, must_pull: bool, deadline: Deadline
    ) -> bytes:
        if must_pull:
            self._recorder.resynced()
        envelopes = self._signed.opening(
            domain_id=subscriber.domain_id,
            node_id=subscriber.node_id,
            must_pull=must_pull,
            deadline=deadline,
        )
        checked = [(self._frames.checked(envelope)["type"], envelope) for envelope in envelopes]
        return b"".join(frame(position, *event) for event in checked)


class NodeEventStream:
    """One stream: an EventStream of the composer, and a Receiver of the fan-out.

    Its moments are monotonic seconds; the schedule calls ``look`` when the next one has come.
    """

    __slots__ = (
        "_fan_out",
        "_keep_alive_at",
        "_opening",
        "_outlet",
        "_recorder",
        "_schedule",
        "_subscriber",
        "_yes_at",
        "ask_at",
        "began_at",
        "domain_id",
        "ends_at",
        "joined_seq",
        "node_id",
        "position",
        "ticket",
    )

    def __init__(
        self,
        subscriber: Subscriber,
        position: int,
        opening: bytes,
        *,
        fan_out: FanOut,
        schedule: StreamSchedule,
        recorder: StreamRecorder,
        now: float,
        ends_at: float,
    ) -> None:
        self.node_id = subscriber.node_id
        self.domain_id = subscriber.domain_id
        self.joined_seq = subscriber.joined_seq
        self.position = position
        self.ask_at = now + uniform(ASK_SECONDS / 2, ASK_SECONDS)
        self.began_at = now
        self.ends_at = ends_at
        self.ticket = 0
        self._subscriber = subscriber
        self._opening = opening
        self._fan_out = fan_out
        self._schedule = schedule
        self._recorder = recorder
        self._yes_at = now
        self._keep_alive_at = now + KEEP_ALIVE_SECONDS
        self._outlet: Outlet | None = None

    def begin(self, hold: Hold | None) -> bytes:
        """See composer.event_streams.EventStream."""
        opening, self._opening = self._opening, b""
        if hold is not None:
            self._outlet = hold(self._gone)
            self._recorder.streams_changed(1)
        missed = self._fan_out.join(self)
        if hold is None:
            self._fan_out.leave(self)
        else:
            self._schedule.add(self)
        end = end_of_opening(self.position, randint(*RETRY_MS))
        return b"".join((opening, *(event.frame for event in missed), end))

    # the fan-out

    def send(self, frame: bytes) -> bool:
        """See Receiver."""
        outlet = self._outlet
        return outlet is not None and outlet.write(frame)

    @property
    def unread(self) -> int:
        """See ListedStream."""
        outlet = self._outlet
        return 0 if outlet is None else outlet.unread

    def end(self) -> None:
        """See Receiver."""
        outlet = self._outlet  # taken once: the client may leave meanwhile
        if outlet is not None:
            outlet.close()

    def _gone(self) -> None:
        outlet = self._outlet
        if outlet is not None and outlet.is_overrun:
            self._recorder.cut()
        self._outlet = None
        self._fan_out.leave(self)
        self._recorder.streams_changed(-1)

    # the schedule

    @property
    def is_over(self) -> bool:
        """Whether the client is gone."""
        return self._outlet is None

    def look(self, now: float) -> float:
        """See to what is due; the next moment to look."""
        ends_at = min(self.ends_at, self._yes_at + YES_SECONDS)
        if now >= ends_at:
            self.end()
            return now + KEEP_ALIVE_SECONDS
        if now >= self._keep_alive_at:
            self._keep_alive_at += KEEP_ALIVE_SECONDS
            self.send(KEEP_ALIVE)
        return min(ends_at, self._keep_alive_at, self.ask_at)

    def ask(self, now: float, deadline: Deadline) -> None:
        """Pass the gates again. ``now`` is when it is asked."""
        decision = self._subscriber.ask_again(deadline)
        if decision is Decision.NO:
            self.end()
        elif decision is Decision.YES:
            self._yes_at = now
        self.ask_at = now + (ASK_SECONDS if decision is Decision.YES else ASK_AGAIN_SECONDS)
