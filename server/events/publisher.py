"""The publisher: brings the ledger's events to the stream, signed, in their order.

Several may run; one is elected. A row is marked after JetStream has acknowledged it, so an event is
published at least once. A second time changes nothing, because JetStream knows the event's id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ComposerError, DomainNotFound, SigningUnavailable
from composer.events import LedgerEvent, event
from db.connections import ReadSession, S, SingleConnection, WriteSession
from db.event_keys import PostgresEventKeys
from db.events import PostgresEvents
from server.events.envelope import Sent, signed_envelope
from server.events.jetstream import StreamWriter
from server.events.keys import DomainSigners, EncryptedEventKeys, EventSigners
from server.events.nats import NatsConnection, OnTrouble
from server.settings import Settings

BATCH = 200  # rows that are marked together
STATEMENT_SECONDS = 5.0
# Agents refuse an event after 5 min. Published rows stay for whoever looks into a fault.
KEPT = timedelta(hours=1)
DELETED_AT_ONCE = 5_000
UNSIGNED_SECONDS = 30.0  # until the events of a Domain whose key did not decrypt are tried again

OnUnsigned = Callable[[UUID, str], None]


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a batch: ``events`` went to the stream, ``rows`` are done with.

    A row that no pull shows needs no event. ``more`` may wait.
    """

    events: int
    rows: int
    more: bool


class EventPublisher:
    """Publishes the ledger's events, for one thread."""

    def __init__(
        self,
        events: PostgresEvents,
        signers: EventSigners,
        stream: StreamWriter,
        on_unsigned: OnUnsigned,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_unsigned`` gets each Domain whose events wait for a key that decrypts, and why."""
        self._events = events
        self._signers = signers
        self._stream = stream
        self._on_unsigned = on_unsigned
        self._now = now
        self._clock = clock
        self._unsigned: dict[UUID, float] = {}
        self._is_open = False

    def publish(self, limit: int = BATCH) -> Published | None:
        """Publish the oldest rows; None while another process is elected.

        Raises DatastoreUnavailable, EventStreamUnavailable, or another ComposerError.
        """
        if not self._events.elect(_deadline()):
            self._is_open = False
            return None
        moment = self._clock()
        self._unsigned = {id: until for id, until in self._unsigned.items() if until > moment}
        rows = self._events.unpublished(limit, self._unsigned, _deadline())
        known: dict[UUID, DomainSigners | None] = {}
        done: list[int] = []
        sent = 0
        try:
            if rows and not self._is_open:
                self._stream.open()
                self._is_open = True
            for row in rows:
                if row.domain_id in self._unsigned:
                    continue
                try:
                    sent += self._publish(row, known)
                    done.append(row.seq)
                except SigningUnavailable as error:
                    self._unsigned[row.domain_id] = moment + UNSIGNED_SECONDS
                    self._on_unsigned(row.domain_id, str(error))
        except ComposerError:
            self._is_open = False
            raise
        finally:
            self._events.published(done, sent, _deadline())
        return Published(sent, len(done), more=len(rows) == limit)

    def delete_old(self, limit: int = DELETED_AT_ONCE) -> bool:
        """Delete published rows that nobody needs any more; whether there may be others."""
        return self._events.delete_published(KEPT, limit, _deadline()) == limit

    def _publish(self, row: LedgerEvent, known: dict[UUID, DomainSigners | None]) -> int:
        """The number of events of the row. The events of a Domain that is gone have no receiver."""
        change = event(row)
        if change is None:
            return 0
        if row.domain_id not in known:
            try:
                known[row.domain_id] = self._signers.of_domain(row.domain_id, _deadline())
            except DomainNotFound:
                known[row.domain_id] = None
        signers = known[row.domain_id]
        if signers is None:
            return 0
        sent = Sent(row.id, row.scope, change)
        envelope = signed_envelope(sent, signers.at(row.seq), self._now())
        self._stream.append(row, envelope)
        return 1


class DiscardedEvents:
    """Stands for a publisher where there is no stream: old rows are deleted, published or not.

    Nobody follows events there, and a stream that comes later begins with a pull.
    """

    def __init__(self, events: PostgresEvents) -> None:
        self._events = events

    def delete_old(self, limit: int = DELETED_AT_ONCE) -> bool:
        """Delete old rows; whether there may be others."""
        published = self._events.delete_published(KEPT, limit, _deadline())
        unpublished = self._events.delete_unpublished(KEPT, limit, _deadline())
        return limit in (published, unpublished)


def _deadline() -> Deadline:
    return Deadline.after(STATEMENT_SECONDS, time.monotonic)


@contextmanager
def event_publisher(
    settings: Settings, on_unsigned: OnUnsigned, on_trouble: OnTrouble
) -> Iterator[EventPublisher | DiscardedEvents]:
    """The publisher of a relay. Connections are made at first use."""
    with closing(PostgresEvents(settings.dsn)) as events:
        if not settings.has_events:
            yield DiscardedEvents(events)
            return
        source = EncryptedEventKeys(*settings.event_kek)
        with (
            closing(NatsConnection(settings.nats, "plexsphere-state relay", on_trouble)) as nats,
            closing(_keys_connection(settings.dsn, ReadSession)) as reads,
            closing(_keys_connection(settings.dsn, WriteSession)) as writes,
        ):
            signers = EventSigners(PostgresEventKeys(reads, writes, source), source)
            stream = StreamWriter(nats, settings.nats_replicas)
            yield EventPublisher(
                events=events, signers=signers, stream=stream, on_unsigned=on_unsigned
            )


def _keys_connection(dsn: str, access: type[S]) -> SingleConnection[S]:
    return SingleConnection(dsn, access, application_name="plexsphere-state event keys")
