"""Follows the stream of events in JetStream: one consumer for all streams of this process.

The consumer is ephemeral and acknowledges nothing. Its messages have numbers without a gap and
heartbeats between them, so a lost message or a silent server is noticed; then everything is made
anew, from the event after the last one that was taken.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import uniform
from sys import maxsize
from typing import Any
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

from composer.deadline import Deadline
from server.events.fan_out import FanOut
from server.events.frames import EventFrames, UnsendableEvent, frame
from server.events.nats import (
    DOMAIN_HEADER,
    SEQ_HEADER,
    STREAM,
    NatsConnection,
    ensured_stream,
    jetstream_of,
    reason,
)
from server.events.stream_list import SUBJECT, answers
from server.events.window import BusEvent

HEARTBEAT_SECONDS = 0.5
# A server that says nothing in so many waits one after another (seconds each) is gone, or somebody
# has deleted the consumer. A process that was stopped finds in the next wait what came meanwhile.
WAITS, WAIT_SECONDS = 3, 0.6
# How long the first streams of a process wait for it to have the newest events.
START_SECONDS = 3.0
# Between two attempts (seconds), spread so that processes do not come at once.
RETRY_SECONDS = (0.1, 0.5)

_log = structlog.stdlib.get_logger("plexsphere.events")


class BusLost(Exception):
    """The bus cannot be followed any further by this consumer; the message says why."""


class Consumer:
    """Implements server.events.streams.Bus, on the thread of the connection.

    ``on_unsendable`` is called for each event that does not leave. ``on_progress`` gets the
    position of the last event that was taken, and the number of those that wait.
    """

    def __init__(
        self,
        connection: NatsConnection,
        fan_out: FanOut,
        frames: EventFrames,
        *,
        replicas: int,
        window_seconds: float,
        on_unsendable: Callable[[], None],
        on_progress: Callable[[int, int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``replicas`` of the stream, where there is none yet. ``clock`` is Unix seconds."""
        self._connection = connection
        self._fan_out = fan_out
        self._frames = frames
        self._replicas = replicas
        self._window_seconds = window_seconds
        self._on_unsendable = on_unsendable
        self._on_progress = on_progress
        self._clock = clock
        self._created: datetime | None = None  # the stream that the positions belong to
        self._is_current = threading.Event()
        self._cause = ""  # why the bus is not followed, as it was logged
        self._start_until = 0.0
        self._waiting = 0  # events that are still to come

    def start(self) -> None:
        """Begin to follow, once, and after the fork."""
        self._start_until = time.monotonic() + START_SECONDS
        self._connection.start()
        self._connection.spawn(self._follow_for_ever())

    @property
    def is_current(self) -> bool:
        """Whether this process has the newest events."""
        return self._is_current.is_set() and self._connection.is_connected

    def is_followed(self, deadline: Deadline) -> bool:
        """See Bus."""
        seconds = min(deadline.remaining(), self._start_until - time.monotonic())
        self._is_current.wait(max(0.0, seconds))
        return self.is_current

    def last_position(self, deadline: Deadline) -> int:
        """See Bus."""
        info = self._connection.call(_stream_info, deadline.remaining())
        return int(info.state.last_seq)

    # on the connection's thread

    async def _follow_for_ever(self) -> None:
        while True:
            cause = await self._follow_once()
            if cause != self._cause:
                _log.warning("event_bus_lost", cause=cause)
            self._cause = cause
            self._is_current.clear()
            await asyncio.sleep(uniform(*RETRY_SECONDS))

    async def _follow_once(self) -> str:
        """Follow until something fails; why it did."""
        try:
            await self._connection.use(self._follow)
        except BusLost as error:
            return str(error)
        except (Error, OSError) as error:
            return reason(error)
        except Exception as error:
            _log.exception("event_bus_not_followed")
            return type(error).__name__
        return "ended"

    async def _follow(self, client: Client) -> None:
        jetstream, info = await ensured_stream(client, self._replicas)
        inbox = client.new_inbox()
        messages = await client.subscribe(inbox)
        questions = await client.subscribe(SUBJECT, cb=self._list_streams)
        try:
            await self._consume(jetstream=jetstream, info=info, inbox=inbox, messages=messages)
        finally:
            for subscription in (messages, questions):
                with suppress(Error, OSError):
                    await subscription.unsubscribe()

    async def _list_streams(self, question: Msg) -> None:
        """Answer a question (stream_list.py)."""
        with suppress(ValueError, Error, OSError):
            streams = self._fan_out.of_domain(UUID(question.data.decode()))
            for answer in answers(streams, self._waiting):
                await question.respond(answer)

    async def _consume(
        self, jetstream: JetStreamContext, info: StreamInfo, inbox: str, messages: Subscription
    ) -> None:
        consumer = await jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                deliver_subject=inbox,
                ack_policy=AckPolicy.NONE,
                max_deliver=1,
                idle_heartbeat=HEARTBEAT_SECONDS,
                inactive_threshold=30.0,
                mem_storage=True,
                num_replicas=1,
                **self._start_of(info),
            ),
        )
        if self._created is None:
            self._created = info.created
            assert consumer.delivered is not None
            self._fan_out.restart(consumer.delivered.stream_seq)
        waiting = consumer.num_pending or 0
        self._follows(waiting)
        number = 0
        while True:
            message = await next_message(messages)
            if message.reply and not (message.headers or {}).get("Status"):
                number += 1
                self._check_number(message.metadata.sequence.consumer, number)
                self._take(message)
                self._follows(message.metadata.num_pending)
            else:
                self._check_number(_last_number(message), number)

    def _start_of(self, info: StreamInfo) -> dict[str, Any]:
        """The place where the consumer begins: with the window, or after the last event taken.

        Where events between are lost, or the stream was made anew, all streams begin again.
        """
        last, state = self._fan_out.last, info.state
        if self._created is not None:
            if info.created == self._created and state.first_seq <= last + 1 <= state.last_seq + 1:
                return {
                    "deliver_policy": DeliverPolicy.BY_START_SEQUENCE,
                    "opt_start_seq": last + 1,
                }
            _log.warning("events_lost", last=last, first=state.first_seq, newest=state.last_seq)
            self._created = None
        since = datetime.fromtimestamp(self._clock(), UTC) - timedelta(seconds=self._window_seconds)
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": since}

    def _check_number(self, found: int, expected: int) -> None:
        if found != expected:
            raise BusLost(f"message {found} in place of {expected}")

    def _follows(self, waiting: int) -> None:
        self._waiting = waiting
        self._on_progress(self._fan_out.last, waiting)
        if not waiting and not self._is_current.is_set():
            self._is_current.set()
            self._cause = ""
            _log.info("event_bus_followed", position=self._fan_out.last)

    def _take(self, message: Msg) -> None:
        sequence, last = message.metadata.sequence.stream, self._fan_out.last
        if sequence != last + 1:  # deleted from the stream before they came here
            _log.warning("events_lost", last=last, first=sequence)
            self._fan_out.restart(sequence - 1)
        try:
            event = self._event(message, sequence)
        except UnsendableEvent as error:
            self._on_unsendable()
            _log.error("event_not_sent", sequence=sequence, cause=str(error))
            domain_id = _domain(message)
            if domain_id is None:
                self._fan_out.restart(sequence)
            else:
                self._fan_out.skip(sequence, domain_id)
        else:
            self._fan_out.take(event)

    def _event(self, message: Msg, sequence: int) -> BusEvent:
        value = self._frames.checked(message.data)
        domain_id = _domain(message)
        if domain_id is None:
            raise UnsendableEvent(f"no {DOMAIN_HEADER}")
        kind, _, scope_id = str(value["scope"]).partition(":")
        event_type = str(value["type"])
        if message.subject.rpartition(".")[2] != scope_id:
            raise UnsendableEvent("the scope is not that of its subject")
        is_peer = event_type.startswith("peer_")
        return BusEvent(
            sequence=sequence,
            seq=_seq(message),
            domain_id=domain_id,
            node_id=UUID(scope_id) if kind == "node" else None,
            peer_id=UUID(value["payload"]["node_id"]) if is_peer else None,
            published=message.metadata.timestamp.timestamp(),
            frame=frame(sequence, event_type, message.data),
        )


async def next_message(messages: Subscription) -> Msg:
    """The next event or heartbeat. Raises BusLost where the server is silent."""
    for _ in range(WAITS):
        with suppress(TimeoutError):  # the library's own is one
            return await messages.next_msg(WAIT_SECONDS)
    raise BusLost("the server is silent")


async def _stream_info(client: Client) -> StreamInfo:
    return await jetstream_of(client).stream_info(STREAM)


def _last_number(message: Msg) -> int:
    """The number of the last message before a heartbeat."""
    return int((message.headers or {}).get("Nats-Last-Consumer", "-1"))


def _seq(message: Msg) -> int:
    """The ``seq`` in the ledger. A message of an earlier release has none: every Node gets it."""
    text = (message.headers or {}).get(SEQ_HEADER, "")
    return int(text) if text.isdecimal() else maxsize


def _domain(message: Msg) -> UUID | None:
    try:
        return UUID((message.headers or {}).get(DOMAIN_HEADER, ""))
    except ValueError:
        return None
