"""The consumer on real NATS: nothing is lost, repeated or reordered, or the streams end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from nats.aio.client import Client

from composer.deadline import Deadline
from composer.event_streams import Decision, Subscriber
from server.events.consumer import Consumer
from server.events.fan_out import FanOut
from server.events.nats import STREAM, NatsConnection, ensured_stream
from server.events.stream_list import STREAMS_IN_AN_ANSWER, StreamList, answers, list_streams
from server.events.window import Window
from tests.events import OTHER_DOMAIN, declared_frames, envelope, peer_payload
from tests.factories import DOMAIN, node_id
from tests.integration.nats_fixtures import OwnNats, connected
from tests.waiting import until

pytest_plugins = "tests.integration.nats_fixtures"

SECONDS = 10.0
WINDOW = 240.0
SUBJECT = f"plexsphere.events.domain.{DOMAIN}"


@dataclass
class Collected:
    """A stream that keeps what it is sent."""

    node_id: UUID = field(default_factory=lambda: node_id(1))
    domain_id: UUID = DOMAIN
    joined_seq: int = 0
    position: int = 0
    ask_at: float = 0.0
    ticket: int = 0
    is_over: bool = False
    began_at: float = 0.0
    unread: int = 0
    frames: list[bytes] = field(default_factory=list)
    ends: int = 0

    def __hash__(self) -> int:
        return id(self)

    def send(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return True

    def end(self) -> None:
        self.ends += 1

    def look(self, now: float) -> float:
        return now

    def ask(self, now: float, deadline: Deadline) -> None:
        raise AssertionError

    @property
    def numbers(self) -> list[int]:
        """Of the peers that the frames are about."""
        return [int(frame.partition(b'"node_id":"')[2][24:36], 16) for frame in self.frames]


@dataclass
class World:
    nats: OwnNats
    connection: NatsConnection
    unsendable: list[bool] = field(default_factory=list)

    def publish(self, *numbers: int, data: bytes | None = None) -> None:
        async def publish(client: Client) -> None:
            jetstream, _ = await ensured_stream(client)
            for number in numbers:
                await jetstream.publish(
                    SUBJECT,
                    envelope(payload=peer_payload(number)) if data is None else data,
                    headers={"Plexsphere-Domain": str(DOMAIN)},
                )

        self.connection.call(publish, SECONDS)

    def delete(self, back: int) -> None:
        """Delete the event that is so many before the newest."""

        async def delete(client: Client) -> None:
            jetstream, info = await ensured_stream(client)
            await jetstream.delete_msg(STREAM, info.state.last_seq - back)

        self.connection.call(delete, SECONDS)

    def anew(self) -> None:
        async def anew(client: Client) -> None:
            await client.jetstream().delete_stream(STREAM)

        self.connection.call(anew, SECONDS)

    def delete_consumers(self) -> None:
        async def delete(client: Client) -> None:
            jetstream = client.jetstream()
            for found in await jetstream.consumers_info(STREAM):
                await jetstream.delete_consumer(STREAM, found.name)

        self.connection.call(delete, SECONDS)

    @contextmanager
    def following(self) -> Iterator[tuple[FanOut, Consumer]]:
        """A process with a consumer of its own."""
        fan_out = FanOut(Window(WINDOW), lambda streams: None)
        with connected(self.nats.endpoint) as connection:
            consumer = Consumer(
                connection,
                fan_out,
                declared_frames(),
                replicas=1,
                window_seconds=WINDOW,
                on_unsendable=lambda: self.unsendable.append(True),
                on_progress=lambda position, behind: None,
            )
            consumer.start()
            until(lambda: consumer.is_current, "the bus is not followed")
            yield fan_out, consumer


@pytest.fixture
def world(nats: OwnNats) -> Iterator[World]:
    with connected(nats.endpoint) as connection:
        connection.call(ensured_stream, SECONDS)
        yield World(nats, connection)


def test_a_process_that_starts_has_the_events_of_the_window(world: World) -> None:
    world.publish(2, 3)
    with world.following() as (fan_out, consumer):
        first = fan_out.last - 1
        assert fan_out.covers(first - 1, DOMAIN) and not fan_out.covers(first - 2, DOMAIN)
        missed = fan_out.missed(first, Subscriber(node_id(1), DOMAIN, 0, lambda at: Decision.YES))
        assert [event.sequence for event in missed] == [fan_out.last]
        assert consumer.last_position(Deadline.after(5, time.monotonic)) == fan_out.last


def test_events_come_once_and_in_order_over_a_killed_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the connection is enough: nobody waits until the server has been silent."""
    monkeypatch.setattr("server.events.consumer.WAIT_SECONDS", 3600.0)
    with world.following() as (fan_out, consumer):
        stream = Collected(position=fan_out.last)
        fan_out.join(stream)
        world.publish(2, 3)
        until(lambda: len(stream.frames) == 2, "events are missing")
        world.nats.part.kill()
        until(lambda: not consumer.is_current, "the loss is not noticed")
        world.nats.part.start()
        world.publish(4, 5)
        until(lambda: len(stream.frames) == 4, "events are missing")
        assert (stream.numbers, stream.ends) == ([2, 3, 4, 5], 0)


def test_a_consumer_that_somebody_deletes_is_made_again(world: World) -> None:
    """The connection stays, and the server only falls silent."""
    with world.following() as (fan_out, _):
        stream = Collected(position=fan_out.last)
        fan_out.join(stream)
        world.delete_consumers()
        world.publish(2, 3)
        until(lambda: len(stream.frames) == 2, "events are missing")
        assert (stream.numbers, stream.ends) == ([2, 3], 0)


def test_streams_end_where_the_stream_of_the_bus_was_made_anew(world: World) -> None:
    world.publish(2, 3)
    with world.following() as (fan_out, consumer):
        known = fan_out.last
        stream = Collected(position=known)
        fan_out.join(stream)
        world.anew()
        until(lambda: stream.ends > 0, "the stream goes on")
        until(lambda: consumer.is_current, "the new stream is not followed")
        world.publish(4, 5, 6)
        until(lambda: fan_out.last > known + 2, "the new events are missing")
        assert not fan_out.covers(known, DOMAIN)


def test_events_that_were_deleted_before_they_came_are_lost(world: World) -> None:
    world.publish(2, 3, 4)
    world.delete(back=1)
    with world.following() as (fan_out, _):
        last = fan_out.last
        assert fan_out.covers(last - 1, DOMAIN) and not fan_out.covers(last - 2, DOMAIN)


def test_an_event_that_breaks_the_contract_ends_its_domains_streams(world: World) -> None:
    with world.following() as (fan_out, _):
        known = fan_out.last
        stream = Collected(position=known)
        fan_out.join(stream)
        world.publish(2, data=b'{"type":"peer_added"}')
        until(lambda: stream.ends == 1, "the stream goes on")
        assert (stream.frames, world.unsendable) == ([], [True])
        assert not fan_out.covers(known, DOMAIN) and fan_out.covers(fan_out.last, DOMAIN)


def test_every_process_lists_its_streams_of_a_domain(world: World) -> None:
    with world.following() as (first, _), world.following() as (second, _):
        for fan_out, number in ((first, 1), (second, 2), (second, 3)):
            fan_out.join(Collected(node_id=node_id(number), unread=number))
        second.join(Collected(domain_id=OTHER_DOMAIN))
        found = list_streams(world.connection, DOMAIN)
    assert [process.behind for process in found.processes] == [0]  # both are this process
    listed = {(stream.node_id, stream.unread_bytes) for stream in found.streams}
    assert listed == {(str(node_id(number)), number) for number in (1, 2, 3)}


def test_without_a_process_the_list_is_empty(world: World) -> None:
    assert list_streams(world.connection, DOMAIN) == StreamList((), ())


def test_many_streams_are_listed_in_more_than_one_answer() -> None:
    streams = [Collected(node_id=node_id(1))] * (STREAMS_IN_AN_ANSWER + 1)
    sizes = [len(json.loads(answer)["streams"]) for answer in answers(streams, 0)]
    assert sizes == [STREAMS_IN_AN_ANSWER, 1]
