"""Batches of audit rows: how they wait, and how they are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Protocol
from uuid import UUID, uuid4

from composer.audit import AuditRow
from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.identity import parse_canonical_uuid
from db.connections import SingleConnection, WriteSession
from db.history import ServedBody, write_bodies
from db.locks import AUDIT_WRITERS

PARAMETERS = {"lock_timeout": "2000", "statement_timeout": "5000"}  # milliseconds
# Partitions made in advance, today's included: a service that is not used over a weekend has them.
DAYS_AHEAD = 4
# Rows of a day without a partition go to the default one, and move when the day's is made.
DAYS_RETRY = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """``at`` is when it was recorded, on the sink's monotonic clock, in seconds."""

    at: float
    row: AuditRow


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are written together.

    ``number`` is that of the last row among all of ``writer``: the ledger writes no batch whose
    number it has, so a batch may be sent again.
    """

    writer: UUID
    number: int
    rows: tuple[QueuedRow, ...]

    def single(self, index: int) -> Batch:
        """The batch of one row."""
        number = self.number - len(self.rows) + index + 1
        return Batch(self.writer, number, (self.rows[index],))


class RowQueue(Protocol):
    """Rows that wait to be written, in order. Rows may be added meanwhile by other threads."""

    def batch(self, limit: int) -> Batch | None:
        """The first rows, or None without any. They stay until they are ``done``."""
        ...

    def done(self, rows: int) -> None:
        """The first ``rows`` of the last batch are written, or must not be written again."""
        ...


class MemoryQueue:
    """Implements RowQueue in memory."""

    def __init__(self, capacity: int) -> None:
        """A row stays until it is written, so that ``capacity`` counts those in flight too."""
        self._capacity = capacity
        self._rows: deque[QueuedRow] = deque()
        self._writer = uuid4()
        self._done = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: QueuedRow) -> bool:
        """Whether there was room."""
        if len(self._rows) >= self._capacity:
            return False
        self._rows.append(row)
        return True

    def batch(self, limit: int) -> Batch | None:
        """See RowQueue."""
        rows = tuple(islice(self._rows, limit))
        return Batch(self._writer, self._done + len(rows), rows) if rows else None

    def done(self, rows: int) -> None:
        """See RowQueue."""
        for _ in range(rows):
            self._rows.popleft()
        self._done += rows


class AuditBatchWriter:
    """Writes batches on one connection. Not for several threads."""

    def __init__(self, dsn: str, application_name: str, clock: Callable[[], float]) -> None:
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name=application_name,
            parameters=PARAMETERS,
        )
        self._clock = clock
        self._days_made = date.min
        self._days_asked = float("-inf")

    def rows_of(self, writer: UUID, deadline: Deadline) -> int:
        """The number of the last row that the ledger has of ``writer``. Raises as ``write``."""
        found = self._connection.run("audit_rows_of", {"writer": str(writer)}, deadline)
        return int(found[0][0]) if found else 0

    def write(self, batch: Batch, deadline: Deadline) -> int:
        """Write all of ``batch``, and return the number of its rows. After an error it may be
        written or not: write the same again.

        Raises DatastoreUnavailable or another ComposerError.
        """
        # The time is asked for beforehand: a statement that waited in the buffer of a frozen server
        # would take its own start, which is too late. It shows a dead connection as well.
        now, today = self._connection.run("audit_clock", {}, deadline)[0]
        self._make_days(today, deadline)
        self._connection.run("audit_insert", self._columns(batch, now), deadline)
        return len(batch.rows)

    def write_bodies(
        self, bodies: tuple[ServedBody, ...], per_node: int, deadline: Deadline
    ) -> None:
        """Write what the ledger lacks of ``bodies``. Raises as ``write``."""
        write_bodies(
            connection=self._connection,
            batch=bodies,
            per_node=per_node,
            clock=self._clock,
            deadline=deadline,
        )

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._connection.close()

    def _make_days(self, today: date, deadline: Deadline) -> None:
        """Partitions for today and the next days. If that fails, the default one takes the rows."""
        if today < self._days_made or self._clock() - self._days_asked < DAYS_RETRY:
            return
        self._days_asked = self._clock()
        arguments = {"first": today, "days": DAYS_AHEAD}
        with suppress(ComposerError):
            if self._connection.run("audit_days", arguments, deadline)[0][0]:
                self._days_made = today + timedelta(days=DAYS_AHEAD - 1)

    def _columns(self, batch: Batch, now: datetime) -> dict[str, object]:
        since = self._clock()
        rows = [queued.row for queued in batch.rows]
        return {
            "lock": AUDIT_WRITERS,
            "writer": str(batch.writer),
            "batch": batch.number,
            "now": now,
            "age": [since - queued.at for queued in batch.rows],
            "node_id": [id_in("node:", row.object) for row in rows],
            "domain_id": [id_in("domain:", row.object) for row in rows],
            "relation": [storable(row.relation) for row in rows],
            "outcome": [storable(row.outcome) for row in rows],
            "subject": [storable(row.subject) for row in rows],
            "object": [storable(row.object) for row in rows],
            "correlation_id": [storable(row.correlation_id) for row in rows],
            "digest": [storable(row.digest) for row in rows],
        }


def id_in(prefix: str, name: str) -> str | None:
    """The id in ``node:<id>`` or ``domain:<id>``; None for an object of another kind."""
    if not name.startswith(prefix):
        return None
    found: UUID | None = parse_canonical_uuid(name.removeprefix(prefix))
    return None if found is None else str(found)


def storable(text: str | None) -> str | None:
    """Replace NUL and lone surrogates, which Postgres cannot store: one row must not block all."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
