"""What the commands that keep SpiceDB at the ledger's word stand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from db.outbox import PostgresOutbox
from server.authz.bulkhead import Bulkhead
from server.authz.channel import SpiceDbChannel
from server.authz.outbox_relay import Parked, SpiceDbOutboxRelay
from server.authz.reader import TupleReader
from server.authz.spicedb import SpiceDbChecker
from server.authz.writer import TupleWriter
from server.settings import Settings

CALL_SECONDS = 5.0  # for one call to SpiceDB; nobody waits for an answer over HTTP here


@dataclass(frozen=True, slots=True)
class Following:
    """Adapters of one command; for one thread."""

    dsn: str
    outbox: PostgresOutbox
    relay: SpiceDbOutboxRelay
    reader: TupleReader
    checker: SpiceDbChecker


@contextmanager
def following(settings: Settings, name: str, on_parked: Parked) -> Iterator[Following]:
    """Connections are made at first use; ``name`` is what Postgres calls them."""
    channel = SpiceDbChannel(settings.spicedb, timeout=max(settings.spicedb_timeout, CALL_SECONDS))
    outbox = PostgresOutbox(
        settings.dsn,
        size=1,
        statement_timeout=max(settings.statement_timeout, CALL_SECONDS),
        lock_timeout=settings.lock_timeout,
        application_name=f"plexsphere-state {name}",
    )
    relay = SpiceDbOutboxRelay(outbox, TupleWriter(channel), on_parked)
    checker = SpiceDbChecker(channel, Bulkhead(limit=1))
    try:
        yield Following(settings.dsn, outbox, relay, TupleReader(channel), checker)
    finally:
        outbox.close()
        channel.close()
