"""What rows of the outbox are too old, and away with them: some at a time, in nobody's way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection

from composer.deadline import Deadline
from db.connections import Row, connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement

STATEMENT_SECONDS = 600.0  # counting scans the table
BATCH = 5_000  # rows deleted in one transaction


@dataclass(frozen=True, slots=True)
class OldRows:
    """``rows`` that may go, by the type of event; ``since`` is the first moment that stays.

    ``held_back`` are as old and stay all the same: SpiceDB has not taken them.
    """

    since: datetime
    rows: Mapping[str, int]
    held_back: int


class OutboxRetention:
    """For one thread. Every method raises DatastoreUnavailable or another ComposerError."""

    def __init__(self, opened: connection) -> None:
        self._connection = opened

    def old(self, age: timedelta) -> OldRows:
        """What is older than ``age`` by the ledger's clock."""
        found = self._run("outbox_old", age=age)
        rows = {kind: done for _, kind, done, _ in found if kind is not None and done}
        return OldRows(found[0][0], rows, sum(row[3] for row in found if row[1] is not None))

    def delete(self, old: OldRows, batch: int = BATCH) -> int:
        """How many went, in transactions of ``batch`` rows."""
        deleted = after = 0
        while found := self._run("outbox_delete_old", after=after, since=old.since, limit=batch):
            deleted += len(found)
            after = max(seq for (seq,) in found)
        return deleted

    def _run(self, name: str, **arguments: object) -> list[Row]:
        deadline = Deadline.after(STATEMENT_SECONDS, time.monotonic)
        with ledger_errors(name):
            return fetch(self._connection, statement(name), arguments, deadline)


@contextmanager
def outbox_retention(dsn: str) -> Iterator[OutboxRetention]:
    """On a connection of its own, for as long as the block runs."""
    parameters = {"lock_timeout": "2000"}  # no row is waited for: this is for somebody's DDL
    named = with_defaults(dsn, parameters, application_name="plexsphere-state outbox prune")
    with ledger_errors("connecting"):
        opened = connect(named, Deadline.after(5.0, time.monotonic))
    try:
        yield OutboxRetention(opened)
    finally:
        opened.close()
