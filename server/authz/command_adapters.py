"""The adapters of the commands that change SpiceDB: grant, revoke, authz and relay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from db.outbox import PostgresOutbox
from db.positions import CheckServer, Positions
from server.authz.channel import SpiceDbChannel
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.outbox_relay import OnParked, SpiceDbOutboxRelay
from server.authz.tuples import TupleReader, TupleWriter
from server.settings import Settings

CALL_SECONDS = 5.0  # for one call to SpiceDB; no HTTP request waits for it


@dataclass(frozen=True, slots=True)
class CommandAdapters:
    """The adapters of one command; for one thread."""

    dsn: str
    outbox: PostgresOutbox
    relay: SpiceDbOutboxRelay
    reader: TupleReader
    checker: SpiceDbChecker
    check: CheckServer


@contextmanager
def command_adapters(
    settings: Settings, name: str, on_parked: OnParked
) -> Iterator[CommandAdapters]:
    """Connections are made at first use; Postgres shows ``name`` in their application name."""
    channel = SpiceDbChannel(settings.spicedb, timeout=max(settings.spicedb_timeout, CALL_SECONDS))
    # An older copy would give back in SpiceDB what was revoked since.
    check = Positions.of_service(settings.position_file).check
    outbox = PostgresOutbox(
        settings.dsn,
        size=1,
        statement_timeout=max(settings.statement_timeout, CALL_SECONDS),
        lock_timeout=settings.lock_timeout,
        application_name=f"plexsphere-state {name}",
        check=check,
    )
    try:
        yield CommandAdapters(
            dsn=settings.dsn,
            outbox=outbox,
            relay=SpiceDbOutboxRelay(outbox, TupleWriter(channel), on_parked),
            reader=TupleReader(channel),
            checker=SpiceDbChecker(channel, ConcurrencyLimit(limit=1)),
            check=check,
        )
    finally:
        outbox.close()
        channel.close()
