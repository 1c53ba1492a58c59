"""Audit rows into Postgres, without any delay for a pull. The row of a write is in the transaction
of the write, which ``write_arguments`` is for.

Requests put rows into a bounded queue, in memory or on disk; one thread in each process writes them
in batches, on a connection of its own. Rows that the queue cannot take, or that are left in memory
when the process ends, are lost, and the loss is reported.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import uuid4

from composer.audit import AuditedWrite, AuditRow
from composer.deadline import Deadline
from db.audit_batches import AuditBatchWriter, Batch, MemoryQueue, QueuedRow, RowQueue, storable
from db.audit_spool import AuditSpool
from db.errors import is_refused_row
from db.history import BodyQueue

# A batch waits this long for more rows (seconds); a row must be visible within a second.
FLUSH_INTERVAL = 0.5
BATCH = 500  # rows
WRITE_TIMEOUT = 2.0  # seconds for one attempt, connecting included
FIRST_BACKOFF = 0.1  # seconds, doubled at every failure
LONGEST_BACKOFF = 1.0
# The files of ended processes are looked for this often (seconds).
SPOOL_INTERVAL = 10.0


class PostgresAuditSink:
    """Implements composer.audit.AuditSink."""

    def __init__(
        self,
        dsn: str,
        *,
        on_lost: Callable[[int, str], None],
        on_failed: Callable[[Exception], None] = lambda error: None,
        on_parked: Callable[[AuditRow], None] = lambda row: None,
        capacity: int,
        application_name: str = "plexsphere-state audit",
        clock: Callable[[], float] = time.monotonic,
        bodies: BodyQueue | None = None,
        spool: AuditSpool | None = None,
    ) -> None:
        """``on_lost(rows, reason)`` gets every loss: queue_full (some seconds late at most), closed
        or shutdown.

        ``on_failed`` gets every attempt that failed and will be repeated, ``on_parked`` each row
        that the table refuses while it takes others: it is not written. All are called on the
        threads of requests or of the writer, and what they raise is ignored. The same thread writes
        ``bodies`` after the rows, and closes that queue. With a ``spool`` rows wait on disk, and in
        memory only where the disk does not take them.
        """
        self._dsn = dsn
        self._application_name = application_name
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._on_parked = on_parked
        self._capacity = capacity
        self._clock = clock
        self._bodies = bodies
        self._spool = spool
        self._waiting = MemoryQueue(capacity)
        self._overflow = 0
        self._counting = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._write_now = threading.Event()
        self._ending = threading.Event()
        self._written = threading.Condition()
        self._closing: Deadline | None = None
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._spool_looked_at = float("-inf")

    def start(self) -> None:
        """Write what ended processes left in the spool, before this process has a row."""
        if self._spool is not None:
            with suppress(RuntimeError):  # no thread could be started: the first row tries again
                self._start()
            self._wake.set()

    def record(self, row: AuditRow) -> None:
        """Queue ``row``: no waiting, no exception, and without a spool no I/O."""
        if self._closing is not None:
            self._lose(1, "closed")
            return
        if self._pid != os.getpid():
            with suppress(RuntimeError):  # no thread could be started: the next row tries again
                self._start()
        queued = QueuedRow(self._clock(), row)
        if not self._is_on_disk(queued) and not self._waiting.put(queued):
            with self._counting:
                self._overflow += 1
        if not self._wake.is_set():
            self._wake.set()

    def _is_on_disk(self, queued: QueuedRow) -> bool:
        # Rows in memory are later than those on disk.
        if self._spool is None or len(self._waiting):
            return False
        if not self._spool.put(queued):
            self._fail(OSError("the spool takes no row, so rows wait in memory"))
            return False
        return True

    def flush(self, timeout: float) -> bool:
        """Write what is queued, for at most ``timeout`` seconds; whether all of it was written."""
        self._write_now.set()
        self._wake.set()
        with self._written:
            return self._written.wait_for(self._has_written_all, timeout)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end; what is left in memory is
        lost, and what is left on disk is written by another process."""
        self._closing = Deadline.after(timeout, self._clock)
        self._ending.set()
        self._write_now.set()
        self._wake.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout + 1.0)
        self._report_overflow()
        if len(self._waiting):
            self._lose(len(self._waiting), "shutdown")
        if self._spool is not None and self._pid == os.getpid():
            self._spool.close()
        if self._bodies is not None:
            self._bodies.close()

    def _start(self) -> None:
        """A thread does not survive a fork: every process starts its own, at its first row."""
        with self._starting:
            if self._pid != os.getpid():
                # Those of the parent, and the parent writes them.
                self._waiting = MemoryQueue(self._capacity)
                if self._spool is not None:
                    self._spool.start()
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def _run(self) -> None:
        writer = AuditBatchWriter(self._dsn, self._application_name, self._clock)
        while self._closing is None:
            self._wake.wait(None if self._spool is None else SPOOL_INTERVAL)
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
        """Rows on disk, those of ended processes first, and then those in memory."""
        if self._spool is not None:
            if self._clock() - self._spool_looked_at >= SPOOL_INTERVAL:
                self._spool_looked_at = self._clock()
                self._write_left_behind(writer, self._spool)
            if self._spool.own is not None:
                self._write_queue(writer, self._spool.own)
                self._spool.renew()
        self._write_queue(writer, self._waiting)

    def _write_left_behind(self, writer: AuditBatchWriter, spool: AuditSpool) -> None:
        for file in spool.left_behind():
            written = self._at_last(partial(writer.rows_of, file.writer))
            if written is not None:
                file.skip(written)
                self._write_queue(writer, file, grows=False)
            file.close(delete=not len(file))

    def _write_queue(
        self, writer: AuditBatchWriter, queue: RowQueue, *, grows: bool = True
    ) -> None:
        """Write the queue until it is empty, time is over, or the table refuses all that is left
        of a queue that does not grow."""
        backoff = FIRST_BACKOFF
        while not self._is_over() and (batch := queue.batch(BATCH)) is not None:
            written = self._write_batch(writer, batch)
            if not written and len(batch.rows) > 1:
                written = self._write_singly(writer, batch)
            queue.done(written)
            if not written:  # the table refuses every row, which a later one may change
                if not grows:
                    return
                backoff = self._pause(backoff)
            with self._written:
                self._written.notify_all()

    def _write_singly(self, writer: AuditBatchWriter, batch: Batch) -> int:
        """Write each row that the table takes. The number of rows that are settled: 0 where it
        takes none, because then it is not the rows that it refuses."""
        refused, settled, has_written = [], 0, False
        for index, queued in enumerate(batch.rows):
            if self._write_batch(writer, batch.single(index)):
                has_written = True
            elif self._is_over():
                break
            else:
                refused.append(queued)
            settled += 1
        if not has_written:
            return 0
        for queued in refused:
            # Once more, by a writer of its own: the table may take every row by now.
            if not self._write_batch(writer, Batch(uuid4(), 1, (queued,))):
                with suppress(Exception):
                    self._on_parked(queued.row)
        return settled

    def _write_batch(self, writer: AuditBatchWriter, batch: Batch) -> int:
        """The number of rows written: all, or none where the table refuses one or time is over."""
        # After a failure the same batch is sent again; its number prevents a second write.
        return self._at_last(partial(writer.write, batch)) or 0

    def _at_last(self, attempt: Callable[[Deadline], int]) -> int | None:
        """The result of an attempt that succeeds; None where a row is refused, or time is over.

        Any other cause may pass. When it does not, the queue fills, and that is reported.
        """
        backoff = FIRST_BACKOFF
        while not self._is_over():
            try:
                return attempt(self._attempt())
            except Exception as error:
                self._fail(error)
                if is_refused_row(error):
                    return None
                self._report_overflow()
                backoff = self._pause(backoff)
        return None

    def _pause(self, backoff: float) -> float:
        """Wait before the next attempt, and return the backoff of the pause after it.

        The begin of ``close`` ends a pause, and the first pauses after it are short.
        """
        seconds = self._attempt().at_most(backoff).remaining()
        if self._ending.is_set():
            time.sleep(seconds)
        elif self._ending.wait(seconds):
            return FIRST_BACKOFF
        return min(2 * backoff, LONGEST_BACKOFF)

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
                self._fail(error)
        self._bodies.done(batch, lost)
        if self._bodies.waiting:
            self._wake.set()
        with self._written:
            self._written.notify_all()

    def _has_written_all(self) -> bool:
        on_disk = self._spool.own if self._spool is not None else None
        return not (
            len(self._waiting)
            or (on_disk is not None and len(on_disk))
            or (self._bodies and self._bodies.waiting)
        )

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

    def _fail(self, error: Exception) -> None:
        with suppress(Exception):
            self._on_failed(error)

    def _lose(self, rows: int, reason: str) -> None:
        with suppress(Exception):
            self._on_lost(rows, reason)


def write_arguments(write: AuditedWrite, *, repeat: bool = False) -> dict[str, object]:
    """The arguments of a statement that calls ``plexsphere.record_write``.

    ``repeat``: an earlier request may have made the write.
    """
    arguments: dict[str, object] = {
        "audit_relation": write.relation,
        "audit_subject": storable(write.subject),
        "correlation_id": storable(write.correlation_id),
    }
    if repeat:
        arguments["audit_relation_of_repeat"] = write.relation_of_repeat
    return arguments
