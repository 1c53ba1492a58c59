"""Audit rows that are too old, counted and deleted: whole days, and no reader or writer waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from composer.deadline import Deadline
from db.connections import Row, SingleConnection, WriteSession
from db.locks import ON_AUDIT_ROWS, LockHolder

STATEMENT_SECONDS = 600.0  # counting a day of 10,000 Nodes takes seconds
DEFAULT_ROWS = 5_000  # rows of the default partition, deleted in one transaction
# Between attempts at a day that is in use: each attempt delays others by at most 0.1 s (0005).
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds


@dataclass(frozen=True, slots=True)
class OldDay:
    """A partition whose rows are all before the first moment that stays; ``size`` is in bytes."""

    day: date
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class OldAudit:
    """``since`` is the first moment that stays; ``in_default`` rows have no day of their own."""

    since: datetime
    days: tuple[OldDay, ...]
    in_default: int


class AuditRetention:
    """Deletes old audit rows, for one thread.

    Every method raises DatastoreUnavailable or another ComposerError.
    """

    def __init__(self, dsn: str, pause: Callable[[float], None] = time.sleep) -> None:
        """``pause`` waits between attempts."""
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name="plexsphere-state audit prune",
        )
        self._pause = pause

    def old(self, age: timedelta) -> OldAudit:
        """The days and rows older than ``age`` by the ledger's clock, in whole days of UTC."""
        found = self._run("audit_old_days", age=age)
        days = tuple(OldDay(*row[1:]) for row in found if row[1] is not None)
        in_default = sum(row[2] for row in found if row[1] is None)
        return OldAudit(found[0][0], days, in_default)

    def drop(self, day: OldDay, deadline: Deadline, on_busy: Callable[[], None]) -> bool:
        """Whether the day is deleted; ``on_busy`` is called when an attempt got no lock."""
        pause = FIRST_PAUSE
        while not self._run("audit_drop_day", day=day.day)[0][0]:
            on_busy()
            if deadline.remaining() <= 0:
                return False
            self._pause(deadline.at_most(pause).remaining())
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def lock_holders(self) -> list[LockHolder]:
        """The sessions that read or write audit rows now, the longest first."""
        return [LockHolder(*row) for row in self._run("lock_holders", **ON_AUDIT_ROWS)]

    def delete_default(self, old: OldAudit) -> int:
        """Delete the old rows of the default partition, in several transactions; their number."""
        deleted = 0
        while rows := self._run("audit_delete_default", since=old.since, limit=DEFAULT_ROWS):
            deleted += len(rows)
        return deleted

    def delete_departed(self, old: OldAudit) -> None:
        """Delete what is stored about Nodes and Domains that were deleted by then."""
        self._run("audit_delete_departed", since=old.since)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, name: str, **arguments: object) -> list[Row]:
        deadline = Deadline.after(STATEMENT_SECONDS, time.monotonic)
        return self._connection.run(name, arguments, deadline)
