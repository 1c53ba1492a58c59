"""The AuditSink on Postgres: best effort, and never in the way of a pull.

Requests put rows into a bounded queue; one thread a process writes them in batches, over a
connection of its own. What does not fit, or is left when the process ends, is lost and said so.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from composer.audit import AuditRow
from composer.deadline import Deadline
from db.audit_batch import AuditBatchWriter, Recorded
from db.body_queue import BodyQueue

# Rows are visible within a second; a batch waits this long for company (seconds).
FLUSH_INTERVAL = 0.1
BATCH = 500  # rows
WRITE_TIMEOUT = 2.0  # seconds for one attempt, connecting included
FIRST_BACKOFF = 0.1  # seconds, doubled at every failure
LONGEST_BACKOFF = 1.0


class PostgresAuditSink:
    """Implements composer.audit.AuditSink."""

    def __init__(
        self,
        dsn: str,
        *,
        on_lost: Callable[[int, str], None],
        on_failed: Callable[[Exception], None] = lambda error: None,
        capacity: int = 20_000,
        application_name: str = "plexsphere-state audit",
        clock: Callable[[], float] = time.monotonic,
        bodies: BodyQueue | None = None,
    ) -> None:
        """``on_lost(rows, reason)`` is told of every loss: queue_full (some seconds late at most),
        closed or shutdown.

        ``on_failed`` is told of every attempt that failed and will be made again. Both are called
        on requests' threads or the writer's, and what they raise is dropped. ``bodies`` are written
        by the same thread, behind the rows, and are its to close.
        """
        self._dsn = dsn
        self._application_name = application_name
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._capacity = capacity
        self._clock = clock
        self._bodies = bodies
        # A row stays until it is written, so that capacity counts those in flight too.
        self._waiting: deque[Recorded] = deque()
        self._overflown = 0
        self._counting = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
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
            with suppress(RuntimeError):  # no thread to be had just now: the next row tries again
                self._start()
        if len(self._waiting) < self._capacity:
            self._waiting.append(Recorded(self._clock(), row))
        else:
            with self._counting:
                self._overflown += 1
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Write what is queued, for at most ``timeout`` seconds; whether all of it was written."""
        self._hurry.set()
        self._wake.set()
        with self._written:
            return self._written.wait_for(self._has_written_all, timeout)

    def close(self, timeout: float) -> None:
        """Write what is queued, for at most ``timeout`` seconds, and end; what is left is lost."""
        self._closing = Deadline.after(timeout, self._clock)
        self._hurry.set()
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
            self._hurry.wait(FLUSH_INTERVAL)
            self._hurry.clear()
            self._wake.clear()
            self._report_overflow()
            self._write_waiting(writer)
            self._keep_bodies(writer)
        self._write_waiting(writer)  # what came between the last look and close()
        while self._bodies is not None and self._bodies.waiting and not self._is_over():
            self._keep_bodies(writer)
        writer.close()

    def _write_waiting(self, writer: AuditBatchWriter) -> None:
        backoff = FIRST_BACKOFF
        batch = None
        while self._waiting and not self._is_over():
            try:
                # After a failure the very same batch: by its number it is written once.
                batch = batch or writer.batch(islice(self._waiting, BATCH))
                writer.write(batch, self._attempt())
            except Exception as error:
                # Whatever it is, it may pass; when it does not, the queue fills and says so.
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

    def _keep_bodies(self, writer: AuditBatchWriter) -> None:
        """One batch, and then rows again; the ledger has just answered, so there is one attempt."""
        if self._bodies is None:
            return
        batch = self._bodies.take()
        lost = None
        if batch:
            try:
                writer.keep(batch, self._bodies.per_node, self._attempt())
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
        """Together, because a full queue loses a row a request."""
        with self._counting:
            rows, self._overflown = self._overflown, 0
        if rows:
            self._lose(rows, "queue_full")

    def _lose(self, rows: int, reason: str) -> None:
        with suppress(Exception):
            self._on_lost(rows, reason)
