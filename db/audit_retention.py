"""What audit rows are too old, and away with them: whole days, in nobody's way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg2.extensions import connection

from composer.deadline import Deadline
from db.connections import Row, connect, fetch, with_defaults
from db.errors import ledger_errors
from db.holders import AUDIT_ROWS, Holder
from db.statements import statement

STATEMENT_SECONDS = 600.0  # counting a day of 10,000 Nodes takes seconds
STRAY_ROWS = 5_000  # deleted at once
# Between attempts at a day that is in use: an attempt costs those behind it 0.1 s (0005).
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds


@dataclass(frozen=True, slots=True)
class OldDay:
    """A partition, all of it before the first moment that stays; ``size`` is in bytes."""

    day: date
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Old:
    """What is to go; ``since`` is the first moment that stays, ``stray`` rows lie in no day."""

    since: datetime
    days: tuple[OldDay, ...]
    stray: int


class AuditRetention:
    """For one thread. Every method raises DatastoreUnavailable or another ComposerError."""

    def __init__(self, opened: connection, pause: Callable[[float], None] = time.sleep) -> None:
        """``pause`` is what waits between attempts."""
        self._connection = opened
        self._pause = pause

    def old(self, age: timedelta) -> Old:
        """What is older than ``age`` by the ledger's clock, in whole days of UTC."""
        found = self._run("audit_old_days", age=age)
        days = tuple(OldDay(*row[1:]) for row in found if row[1] is not None)
        stray = sum(row[2] for row in found if row[1] is None)
        return Old(found[0][0], days, stray)

    def drop(self, day: OldDay, patience: Deadline, on_busy: Callable[[], None]) -> bool:
        """Whether the day is gone; ``on_busy`` is told of each attempt that had no lock in time."""
        pause = FIRST_PAUSE
        while not self._run("audit_drop_day", day=day.day)[0][0]:
            on_busy()
            if patience.remaining() <= 0:
                return False
            self._pause(patience.at_most(pause).remaining())
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def holders(self) -> list[Holder]:
        """Who reads or writes audit rows just now, the longest first."""
        return [Holder(*row) for row in self._run("lock_holders", **AUDIT_ROWS)]

    def delete_stray(self, old: Old) -> int:
        """The rows that lie in no day, some at a time; how many."""
        deleted = 0
        while rows := self._run("audit_delete_default", since=old.since, limit=STRAY_ROWS):
            deleted += len(rows)
        return deleted

    def forget(self, old: Old) -> None:
        """What is remembered of Nodes and Domains that were gone by then."""
        self._run("audit_delete_departed", since=old.since)

    def _run(self, name: str, **arguments: object) -> list[Row]:
        deadline = Deadline.after(STATEMENT_SECONDS, time.monotonic)
        with ledger_errors(name):
            return fetch(self._connection, statement(name), arguments, deadline)


@contextmanager
def retention(dsn: str, pause: Callable[[float], None] = time.sleep) -> Iterator[AuditRetention]:
    """On a connection of its own, for as long as the block runs."""
    named = with_defaults(dsn, {}, application_name="plexsphere-state audit prune")
    with ledger_errors("connecting"):
        opened = connect(named, Deadline.after(5.0, time.monotonic))
    try:
        yield AuditRetention(opened, pause)
    finally:
        opened.close()
