"""A ledger and a SpiceDB of a test module's own, and relays between them.

Test modules name this one in ``pytest_plugins``, beside ``ledger_fixtures`` and ``spicedb_parts``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from db.outbox import OutboxRow, PostgresOutbox
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import TupleReader, TupleWriter
from tests.fakes import Triple
from tests.integration.spicedb_parts import SpiceDb, soon
from tests.ledger_sql import run_sql
from tests.node_fakes import TupleUpdate
from tests.outboxes import write_row


class Following:
    """A ledger, the SpiceDB that follows it, and one relay."""

    def __init__(self, dsn: str, spicedb: SpiceDb, timeout: float = 1.0) -> None:
        self.dsn = dsn
        self.spicedb = spicedb
        self.channel = spicedb.connect(timeout=timeout)
        self.outbox = PostgresOutbox(dsn, 4, 10.0, 1.0)
        self.parked: list[tuple[OutboxRow, str]] = []
        self.relay = SpiceDbOutboxRelay(
            self.outbox,
            TupleWriter(self.channel),
            lambda row, because: self.parked.append((row, because)),
        )

    def write(self, object: str, *updates: TupleUpdate) -> int:
        return write_row(self.dsn, object, *updates)

    def drain(self, limit: int = 100) -> int:
        """Until nothing is left; how many rows."""
        total = 0
        while done := self.relay.drain(limit, soon()):
            total += done
        return total

    def taken(self) -> set[Triple]:
        """Every tuple that SpiceDB has."""
        reader = TupleReader(self.spicedb.channel)
        return {
            (triple.resource, triple.relation, triple.subject)
            for triple in reader.all_of_ours(soon())
        }

    def close(self) -> None:
        self.outbox.close()
        self.channel.close()


@contextmanager
def following(dsn: str, spicedb: SpiceDb, timeout: float = 1.0) -> Iterator[Following]:
    made = Following(dsn, spicedb, timeout)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def drained(ledger_dsn: str, spicedb: SpiceDb) -> Iterator[Following]:
    """Both stores without a row."""
    for table in ("nodes", "domains", "role_grants", "withheld_tuples", "outbox", "fences"):
        run_sql(ledger_dsn, f"DELETE FROM plexsphere.{table}")
    with following(ledger_dsn, spicedb, timeout=0.5) as made:
        spicedb.writer.delete(list(TupleReader(spicedb.channel).all_of_ours(soon())), soon())
        yield made
        spicedb.thaw()
