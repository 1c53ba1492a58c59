"""A world in which events go their whole way, and each part of it may fail.

Real Postgres, relay, NATS, consumer and streams; a client in memory in the place of a socket.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import psycopg2
from nats.aio.client import Client as NatsClient

from composer.errors import EventStreamUnavailable
from composer.event_streams import Decision, EventStream, Subscriber
from db.connections import command_connections
from db.event_keys import PostgresEventKeys
from db.nodes import PostgresNodeRepo
from db.pool import read_pool
from server.cli.scrape import samples_of
from server.contract.document import Contract
from server.events.endpoint import NatsEndpoint
from server.events.keys import EncryptedEventKeys, EventSigners
from server.events.nats import DOMAIN_HEADER, SEQ_HEADER, STREAM, NatsConnection, ensured_stream
from server.events.publisher import EventPublisher, event_publisher
from server.events.service import EventService, event_service
from server.settings import Settings
from server.telemetry.metrics import Metrics
from tests.envelope_verifier import verify
from tests.event_receiver import Receiver, pulled_blocks
from tests.factories import DOMAIN, key_bytes
from tests.integration.event_history import (
    NODES,
    Pulls,
    begin_history,
    pulls_of,
    write_randomly,
)
from tests.integration.ledger_rows import Hand
from tests.integration.nats_fixtures import connected
from tests.ports.deadlines import in_time
from tests.stream_world import Client
from tests.waiting import until

KEK = bytes(range(32))
SECONDS = 10.0
WINDOW = 240.0
CONTRACT = Contract.packaged()


class Agent:
    """A Node that holds a stream, and the blocks of its last pull with the events since."""

    def __init__(self, node: str, world: World) -> None:
        self.node = node
        self._world = world
        self._client = Client()
        self._read = 0  # bytes of the stream
        self._ids: list[int] = []
        self._must_pull = False
        self.types: list[str] = []  # of the events so far
        body = world.pulls.body(node)
        assert body is not None
        self._receiver = Receiver(node, body, lambda: b"", may_repeat=True)
        self.open()
        self.read()  # the opening says where the stream is

    def open(self, back: int = 0) -> None:
        """Open the stream after the last position that it knows, or ``back`` positions before."""
        self._client, self._read = Client(), 0

        def hold(gone: Callable[[], None]) -> Client:
            self._client.gone = gone
            return self._client

        known = self._ids[max(0, len(self._ids) - 1 - back)] if self._ids else None
        self._client.sent = self._world.open(UUID(self.node), known).begin(hold)

    def lose(self) -> None:
        """The connection is lost, with what was not read yet."""
        self._client.is_closed = True
        self._client.gone()

    def read(self) -> None:
        """Apply every event that has come; open the stream again where it has ended."""
        is_closed = self._client.is_closed
        *frames, _ = self._client.sent[self._read :].split(b"\n\n")
        self._read += sum(len(frame) + 2 for frame in frames)
        for frame in frames:
            if frame.startswith(b":"):  # a keep-alive
                continue
            fields = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
            self._ids.append(int(fields[b"id"]))
            if b"data" in fields:
                self._apply(fields[b"data"])
        if is_closed:
            self.open()
            self.read()

    def _apply(self, data: bytes) -> None:
        scopes = {f"domain:{DOMAIN}", f"node:{self.node}"}
        event = verify(data, self._world.keys, scopes)
        self.types.append(event.type)
        if event.type == "resync_required" or event.payload == {"pull_required": True}:
            self._must_pull = True
        else:
            self._receiver.apply(event)

    def difference(self) -> str | None:
        """From a pull now. A pull that is refused has no blocks to compare with."""
        body = self._world.pulls.body(self.node)
        if body is None:
            self._must_pull = True
            return None
        if self._must_pull:
            self._must_pull = False
            self._receiver = Receiver(self.node, body, lambda: b"", may_repeat=True)
        shown = pulled_blocks(body)
        names = [name for name in shown if shown[name] != self._receiver.blocks[name]]
        return f"{self.node}: {names}" if names else None


class Nats(Protocol):
    """A server or a cluster."""

    @property
    def endpoint(self) -> NatsEndpoint: ...


class World:
    """A ledger, a relay, NATS, a worker, and agents. ``replicas`` is of the stream in NATS."""

    def __init__(
        self,
        hand: Hand,
        pulls: Pulls,
        nodes: PostgresNodeRepo,
        nats: Nats,
        signers: EventSigners,
        replicas: int = 1,
    ) -> None:
        self.pulls = pulls
        self._nodes = nodes
        self._hand = hand
        self._nats = nats
        self._signers = signers
        self._settings = Settings(
            dsn=hand.dsn,
            event_kek=(KEK,),
            nats_url=nats.endpoint.urls,
            nats_credentials=str(nats.endpoint.credentials or ""),
            nats_replicas=replicas,
        )
        self._parts = ExitStack()
        self._relay = ExitStack()
        begin_history(hand)
        self._ledger = self._parts.enter_context(closing(psycopg2.connect(hand.dsn)))
        self._publisher = self._start_relay()
        self.settle_relay()
        self._service = self._start_worker()
        self.agents = [Agent(node, self) for node in NODES[:3]]

    def close(self) -> None:
        self._service.close()
        self._relay.close()
        self._parts.close()

    @property
    def keys(self) -> dict[str, bytes]:
        """The public keys of the Domain."""
        sql = "SELECT key_id, public_key FROM plexsphere.event_keys WHERE domain_id = %s"
        return {key_id: bytes(key) for key_id, key in self._hand.run(sql, DOMAIN)}

    def open(self, node_id: UUID, after: int | None) -> EventStream:
        """Where the worker has no events yet, again: as a client does after a 503."""
        joined_seq = self._nodes.get_by_id(node_id, in_time()).joined_seq
        subscriber = Subscriber(node_id, DOMAIN, joined_seq, lambda deadline: Decision.YES)
        while True:
            with suppress(EventStreamUnavailable):
                return self._service.streams.subscribe(subscriber, after, in_time())

    def _start_relay(self) -> EventPublisher:
        made = event_publisher(self._settings, lambda *found: None, lambda trouble: None)
        publisher = self._relay.enter_context(made)
        assert isinstance(publisher, EventPublisher)
        return publisher

    def _start_worker(self) -> EventService:
        connection = NatsConnection(self._settings.nats, "worker", lambda trouble: None)
        self._metrics = Metrics()
        made = event_service(
            self._hand.dsn,
            connection,
            self._settings.nats_replicas,
            self._signers,
            CONTRACT,
            self._metrics,
            WINDOW,
        )
        made.consumer.start()
        return made

    # time passes

    def join(self, node: str) -> Agent:
        """A Node joins, pulls, and holds a stream from now on."""
        self._hand.insert(
            "nodes", id=node, domain_id=DOMAIN, mesh_ip="10.42.9.99", public_key=key_bytes(99)
        )
        self.agents.append(Agent(node, self))
        return self.agents[-1]

    def rotate_key(self) -> None:
        with command_connections(self._hand.dsn, "test") as (reads, writes):
            keys = PostgresEventKeys(reads, writes, EncryptedEventKeys(KEK))
            keys.rotate(DOMAIN, timedelta(hours=1), "user:ada", in_time())

    def write(self, chance: random.Random) -> None:
        write_randomly(self._ledger, chance)

    def settle_relay(self) -> None:
        """Publish everything, however often NATS or the election says no."""

        def is_published() -> bool:
            with suppress(EventStreamUnavailable):
                batch = self._publisher.publish()
                return batch is not None and not batch.rows
            return False

        until(is_published, "events are not published")

    def settle(self) -> None:
        """Until the worker has every event, and every agent has read its stream."""
        self.settle_relay()

        def has_every_event() -> bool:
            with suppress(EventStreamUnavailable), connected(self._nats.endpoint) as connection:
                _, info = connection.call(ensured_stream, SECONDS)
                return self._position() == info.state.last_seq
            return False

        until(has_every_event, "the worker is behind")
        for agent in self.agents:
            agent.read()

    def _position(self) -> float:
        """Of the newest event that the worker has sent to its streams."""
        samples = samples_of(self._metrics.exposition().decode())
        return samples["plexsphere_events_position", frozenset()]

    def differences(self) -> list[str]:
        """From pulls now."""
        return [each for agent in self.agents if (each := agent.difference())]

    # faults; each has a moment before a transaction and one after it is published

    def quiet(self) -> Iterator[None]:
        yield

    def cut(self) -> Iterator[None]:
        for agent in self.agents:
            agent.lose()
        yield
        for agent in self.agents:
            agent.open()

    def read_again(self) -> Iterator[None]:
        """Agents that have lost the last positions."""
        yield
        for agent in self.agents:
            agent.lose()
            agent.open(back=3)

    def repeat_publishing(self) -> Iterator[None]:
        """A relay that is killed before it has marked what it published."""
        yield
        self._hand.run(
            "UPDATE plexsphere.events SET published_at = NULL"
            " WHERE seq > (SELECT max(seq) - 5 FROM plexsphere.events)"
        )
        self._relay.close()
        self._publisher = self._start_relay()

    def repeat_at_the_broker(self) -> Iterator[None]:
        """The newest messages once more, which JetStream does not know by their ids any more."""
        yield

        async def repeat(client: NatsClient) -> None:
            jetstream, info = await ensured_stream(client)
            last = info.state.last_seq
            for sequence in range(max(info.state.first_seq, last - 4), last + 1):
                found = await jetstream.get_msg(STREAM, sequence)
                headers = {
                    name: (found.headers or {})[name] for name in (DOMAIN_HEADER, SEQ_HEADER)
                }
                await jetstream.publish(found.subject or "", found.data or b"", headers=headers)

        with connected(self._nats.endpoint) as connection:
            connection.call(repeat, SECONDS)

    def replace_worker(self) -> Iterator[None]:
        self._service.close()
        for agent in self.agents:
            agent.lose()
        yield
        self._service = self._start_worker()
        for agent in self.agents:
            agent.open()


@contextmanager
def world(hand: Hand, nats: Nats, replicas: int = 1) -> Iterator[World]:
    """With a history that has begun."""
    source = EncryptedEventKeys(KEK)
    with (
        command_connections(hand.dsn, "test") as (reads, writes),
        closing(read_pool(hand.dsn, 2, 5.0)) as pool,
    ):
        signers = EventSigners(PostgresEventKeys(reads, writes, source), source)
        with (
            pulls_of(hand.dsn) as pulls,
            closing(World(hand, pulls, PostgresNodeRepo(pool), nats, signers, replicas)) as made,
        ):
            yield made
