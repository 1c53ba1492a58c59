"""One batch of audit rows into Postgres, on a connection that is the writer's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from psycopg2.extensions import connection

from composer.audit import AuditRow
from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.identity import parse_canonical_uuid
from db.body_batch import ServedBody, keep_bodies
from db.connections import Row, connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement

CONNECT_TIMEOUT = 2.0  # seconds
# The advisory lock by which writers take turns: "auditrow" in ASCII.
TURN = 0x6175646974726F77
PARAMETERS = {"lock_timeout": "2000", "statement_timeout": "5000"}
# Partitions made ahead, today's included: a service that stands still over a weekend has its own.
DAYS_AHEAD = 4
# Until then rows of a day without a partition go to the default one, and move when it is made.
DAYS_RETRY = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row on its way; ``at`` is on the sink's monotonic clock, in seconds."""

    at: float
    row: AuditRow


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are written together; ``number`` grows from 1 with every batch of one writer."""

    number: int
    rows: tuple[Recorded, ...]


class AuditBatchWriter:
    """Not for several threads."""

    def __init__(self, dsn: str, application_name: str, clock: Callable[[], float]) -> None:
        self._dsn = with_defaults(dsn, PARAMETERS, application_name=application_name)
        self._clock = clock
        self._connection: connection | None = None
        self._id = uuid4()
        self._batches = 0
        self._days_made = date.min
        self._days_asked = float("-inf")

    def batch(self, rows: Iterable[Recorded]) -> Batch:
        """The next batch. It is to be written before another one is asked for."""
        self._batches += 1
        return Batch(self._batches, tuple(rows))

    def write(self, batch: Batch, deadline: Deadline) -> None:
        """All of ``batch`` or an error, after which it may be in doubt: write the same again.

        Raises DatastoreUnavailable or another ComposerError.
        """
        try:
            with ledger_errors("writing audit rows"):
                # A statement that lay in a frozen server's buffer finds its own start too late to
                # reckon from, so the clock is asked beforehand. It shows a dead connection as well.
                now, today = self._run("audit_clock", {}, deadline)[0]
                self._make_days(today, deadline)
                self._run("audit_insert", self._columns(batch, now), deadline)
        except ComposerError:
            self.close()
            raise

    def keep(self, bodies: Sequence[ServedBody], per_node: int, deadline: Deadline) -> None:
        """Bodies beside the rows, ``per_node`` of each Node. Raises as ``write``."""
        try:
            with ledger_errors("keeping bodies"):
                keep_bodies(self._run, bodies, per_node, self._clock, deadline)
        except ComposerError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, if there is one."""
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.close()

    def _make_days(self, today: date, deadline: Deadline) -> None:
        """Partitions for today and a few more, best effort: the default one takes every row."""
        if today < self._days_made or self._clock() - self._days_asked < DAYS_RETRY:
            return
        self._days_asked = self._clock()
        arguments = {"first": today, "days": DAYS_AHEAD}
        with suppress(ComposerError), ledger_errors("making days of audit rows"):
            try:
                if self._run("audit_days", arguments, deadline)[0][0]:
                    self._days_made = today + timedelta(days=DAYS_AHEAD - 1)
            except BaseException:
                self.close()
                raise

    def _run(self, name: str, arguments: dict[str, object], deadline: Deadline) -> list[Row]:
        if self._connection is None:
            self._connection = connect(self._dsn, deadline.at_most(CONNECT_TIMEOUT))
        return fetch(self._connection, statement(name), arguments, deadline)

    def _columns(self, batch: Batch, now: datetime) -> dict[str, object]:
        since = self._clock()
        rows = [recorded.row for recorded in batch.rows]
        return {
            "lock": TURN,
            "writer": str(self._id),
            "batch": batch.number,
            "now": now,
            "age": [since - recorded.at for recorded in batch.rows],
            "node_id": [id_behind("node:", row.object) for row in rows],
            "domain_id": [id_behind("domain:", row.object) for row in rows],
            "relation": [_storable(row.relation) for row in rows],
            "outcome": [_storable(row.outcome) for row in rows],
            "subject": [_storable(row.subject) for row in rows],
            "object": [_storable(row.object) for row in rows],
            "correlation_id": [_storable(row.correlation_id) for row in rows],
            "digest": [_storable(row.digest) for row in rows],
        }


def id_behind(kind: str, name: str) -> str | None:
    """The id in ``node:<id>`` or ``domain:<id>``; None for an object of another kind."""
    if not name.startswith(kind):
        return None
    found: UUID | None = parse_canonical_uuid(name.removeprefix(kind))
    return None if found is None else str(found)


def _storable(text: str | None) -> str | None:
    """What Postgres cannot hold (NUL, lone surrogates) is replaced: one such row must not block."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
