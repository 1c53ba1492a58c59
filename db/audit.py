"""Audit rows into Postgres: best effort, and without any delay for a pull. The row of a write is in
the transaction of the write, which ``write_arguments`` is for.

Requests put rows into a bounded queue; one thread in each process writes them in batches, on a
connection of its own. Rows that the queue cannot take, or that are left when the process ends, are
lost, and the loss is reported.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

from composer.audit import AuditedWrite, AuditRow
from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.identity import parse_canonical_uuid
from db.connections import SingleConnection, WriteSession
from db.history import BodyQueue, ServedBody, write_bodies
from db.locks import AUDIT_WRITERS

# A batch waits this long for more rows (seconds); a row must be visible within a second.
FLUSH_INTERVAL = 0.1
BATCH = 500  # rows
WRITE_TIMEOUT = 2.0  # seconds for one attempt, connecting included
FIRST_BACKOFF = 0.1  # seconds, doubled at every failure
LONGEST_BACKOFF = 1.0

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
    """Rows that are written together; ``number`` grows from 1 with every batch of one writer."""

    number: int
    rows: tuple[QueuedRow, ...]


class PostgresAuditSink:
    """Implements composer.audit.AuditSink."""

    def __init__(
        self,
        dsn: str,
        *,
        on_lost: Callable[[int, str], None],
        on_failed: Callable[[Exception], None] = lambda error: None,
        capacity: int,
        application_name: str = "plexsphere-state audit",
        clock: Callable[[], float] = time.monotonic,
        bodies: BodyQueue | None = None,
    ) -> None:
        """``on_lost(rows, reason)`` gets every loss: queue_full (some seconds late at most), closed
        or shutdown.

        ``on_failed`` gets every attempt that failed and will be repeated. Both are called on the
        threads of requests or of the writer, and what they raise is ignored. The same thread writes
        ``bodies`` after the rows, and closes that queue.
        """
        self._dsn = dsn
        self._application_name = application_name
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._capacity = capacity
        self._clock = clock
        self._bodies = bodies
        # A row stays until it is written, so that capacity counts those in flight too.
        self._waiting: deque[QueuedRow] = deque()
        self._overflow = 0
        self._counting = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._write_now = threading.Event()
        self._written = threading.Condition()
        self._closing: Deadline | None = None
        self._pid = 0
        self._thread: threading.Thread | None = None

    def record(self, row: AuditRow) -> None:
        """Queue ``row``: no I/O, no waiting, no exception."""
        if self._closing is not None:
            self._lose(1, "closed")
            return
        if self._pid != os.getpid():
            with suppress(RuntimeError):  # no thread could be started: the next row tries again
                self._start()
        if len(self._waiting) < self._capacity:
            self._waiting.append(QueuedRow(self._clock(), row))
        else:
            with self._counting:
                self._overflow += 1
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Write what is queued, for at most ``timeout`` seconds; whether all of it was written."""
        self._write_now.set()
        self._wake.set()
        with self._written:
            return self._written.wait_for(self._has_written_all, timeout)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end; what is left is lost."""
        self._closing = Deadline.after(timeout, self._clock)
        self._write_now.set()
        self._wake.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout + 1.0)
        self._report_overflow()
        if self._waiting:
            self._lose(len(self._waiting), "shutdown")
        if self._bodies is not None:
            self._bodies.close()

    def _start(self) -> None:
        """A thread does not survive a fork: every process starts its own, at its first row."""
        with self._starting:
            if self._pid != os.getpid():
                self._waiting.clear()  # the parent's, and the parent writes them
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def _run(self) -> None:
        writer = AuditBatchWriter(self._dsn, self._application_name, self._clock)
        while self._closing is None:
            self._wake.wait()
            self._write_now.wait(FLUSH_INTERVAL)
            self._write_now.clear()
            self._wake.clear()
            self._report_overflow()
            self._write_rows(writer)
            self._write_bodies(writer)
        self._write_rows(writer)  # rows that were recorded after the last turn
        while self._bodies is not None and self._bodies.waiting and not self._is_over():
            self._write_bodies(writer)
        writer.close()

    def _write_rows(self, writer: AuditBatchWriter) -> None:
        backoff = FIRST_BACKOFF
        batch = None
        while self._waiting and not self._is_over():
            try:
                # After a failure the same batch again: its number makes that it is written once.
                batch = batch or writer.batch(islice(self._waiting, BATCH))
                writer.write(batch, self._attempt())
            except Exception as error:
                # The cause may pass, whatever it is; when it does not, the queue fills, and that is
                # reported.
                with suppress(Exception):
                    self._on_failed(error)
                self._report_overflow()
                time.sleep(self._attempt().at_most(backoff).remaining())
                backoff = min(2 * backoff, LONGEST_BACKOFF)
            else:
                backoff = FIRST_BACKOFF
                with self._written:
                    for _ in batch.rows:
                        self._waiting.popleft()
                    self._written.notify_all()
                batch = None

    def _write_bodies(self, writer: AuditBatchWriter) -> None:
        """One batch, once: the ledger has just answered, and rows must not wait for bodies."""
        if self._bodies is None:
            return
        batch = self._bodies.take()
        lost = None
        if batch:
            try:
                writer.write_bodies(batch, self._bodies.per_node, self._attempt())
            except Exception as error:
                lost = "failed"
                with suppress(Exception):
                    self._on_failed(error)
        self._bodies.done(batch, lost)
        if self._bodies.waiting:
            self._wake.set()
        with self._written:
            self._written.notify_all()

    def _has_written_all(self) -> bool:
        return not self._waiting and not (self._bodies and self._bodies.waiting)

    def _attempt(self) -> Deadline:
        attempt = Deadline.after(WRITE_TIMEOUT, self._clock)
        return attempt if self._closing is None else self._closing.at_most(WRITE_TIMEOUT)

    def _is_over(self) -> bool:
        return self._closing is not None and self._closing.remaining() <= 0

    def _report_overflow(self) -> None:
        """One report for many rows, because a full queue loses a row with each request."""
        with self._counting:
            rows, self._overflow = self._overflow, 0
        if rows:
            self._lose(rows, "queue_full")

    def _lose(self, rows: int, reason: str) -> None:
        with suppress(Exception):
            self._on_lost(rows, reason)


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
        self._id = uuid4()
        self._batches = 0
        self._days_made = date.min
        self._days_asked = float("-inf")

    def batch(self, rows: Iterable[QueuedRow]) -> Batch:
        """The next batch. It must be written before another one is asked for."""
        self._batches += 1
        return Batch(self._batches, tuple(rows))

    def write(self, batch: Batch, deadline: Deadline) -> None:
        """Write all of ``batch``. After an error it may be written or not: write the same again.

        Raises DatastoreUnavailable or another ComposerError.
        """
        # The time is asked for beforehand: a statement that waited in the buffer of a frozen server
        # would take its own start, which is too late. It shows a dead connection as well.
        now, today = self._connection.run("audit_clock", {}, deadline)[0]
        self._make_days(today, deadline)
        self._connection.run("audit_insert", self._columns(batch, now), deadline)

    def write_bodies(
        self, bodies: tuple[ServedBody, ...], per_node: int, deadline: Deadline
    ) -> None:
        """Write what the ledger lacks of ``bodies``. Raises as ``write``."""
        write_bodies(self._connection, bodies, per_node, self._clock, deadline)

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
            "writer": str(self._id),
            "batch": batch.number,
            "now": now,
            "age": [since - queued.at for queued in batch.rows],
            "node_id": [id_in("node:", row.object) for row in rows],
            "domain_id": [id_in("domain:", row.object) for row in rows],
            "relation": [_storable(row.relation) for row in rows],
            "outcome": [_storable(row.outcome) for row in rows],
            "subject": [_storable(row.subject) for row in rows],
            "object": [_storable(row.object) for row in rows],
            "correlation_id": [_storable(row.correlation_id) for row in rows],
            "digest": [_storable(row.digest) for row in rows],
        }


def write_arguments(write: AuditedWrite, *, repeat: bool = False) -> dict[str, object]:
    """The arguments of a statement that calls ``plexsphere.record_write``.

    ``repeat``: an earlier request may have made the write.
    """
    arguments: dict[str, object] = {
        "audit_relation": write.relation,
        "audit_subject": _storable(write.subject),
        "correlation_id": _storable(write.correlation_id),
    }
    if repeat:
        arguments["audit_relation_of_repeat"] = write.relation_of_repeat
    return arguments


def id_in(prefix: str, name: str) -> str | None:
    """The id in ``node:<id>`` or ``domain:<id>``; None for an object of another kind."""
    if not name.startswith(prefix):
        return None
    found: UUID | None = parse_canonical_uuid(name.removeprefix(prefix))
    return None if found is None else str(found)


def _storable(text: str | None) -> str | None:
    """Replace NUL and lone surrogates, which Postgres cannot store: one row must not block all."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
