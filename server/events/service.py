"""The reading half of the event bus, put together for a process that serves streams."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from composer.event_streams import EventStreams
from db.access import ReducedAccess
from server.contract.document import Contract
from server.events.consumer import Consumer
from server.events.fan_out import FanOut
from server.events.frames import EventFrames
from server.events.keys import EventSigners
from server.events.nats import NatsConnection
from server.events.opening import OpeningEvents
from server.events.schedule import StreamSchedule
from server.events.streams import NodeEventStreams
from server.events.window import Window
from server.telemetry.metrics import Metrics
from server.telemetry.recorders import EventRecorder


@dataclass(frozen=True, slots=True)
class EventService:
    """``streams`` is the port. Nothing is connected before ``start``, which is called once."""

    streams: EventStreams
    connection: NatsConnection
    consumer: Consumer
    access: ReducedAccess

    def is_current(self) -> bool:
        """Whether this process has the newest events."""
        return self.consumer.is_current

    def start(self) -> None:
        """Follow the bus and the ledger, in threads that end with the process. After the fork."""
        self.consumer.start()
        threading.Thread(target=self.access.run, name="access", daemon=True).start()

    def close(self) -> None:
        """Leave the bus."""
        self.connection.close()


def event_service(
    dsn: str,
    connection: NatsConnection,
    replicas: int,
    signers: EventSigners,
    contract: Contract,
    metrics: Metrics,
    window_seconds: float,
    on_reduced: Callable[[UUID], None] = lambda node_id: None,
) -> EventService:
    """The parts that serve streams of one process. ``on_reduced`` gets each Node that lost a
    relationship or a credential."""
    recorder = EventRecorder(metrics)
    media = contract.operations["GetNodeEvents"].responses[200].media["text/event-stream"]
    frames = EventFrames(media.events)
    fan_out = FanOut(Window(window_seconds), recorder.delivered)
    schedule = StreamSchedule()
    consumer = Consumer(
        connection,
        fan_out,
        frames,
        replicas=replicas,
        window_seconds=window_seconds,
        on_unsendable=recorder.unsendable,
        on_progress=recorder.progress,
    )
    streams = NodeEventStreams(
        fan_out,
        bus=consumer,
        signed=OpeningEvents(signers),
        frames=frames,
        schedule=schedule,
        recorder=recorder,
    )

    def reduced(node_id: UUID) -> None:
        on_reduced(node_id)
        schedule.ask_at_once(fan_out.of_node(node_id))

    def gap() -> None:
        schedule.ask_soon(fan_out.all())

    return EventService(
        streams=streams,
        connection=connection,
        consumer=consumer,
        access=ReducedAccess(dsn, reduced, gap),
    )
