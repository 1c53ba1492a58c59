"""Log lines are written by a thread of their own, so that a slow reader of them delays no request.

When the queue is full a line is dropped and counted; the count is written as soon as there is room.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import threading
import time

import structlog
from structlog.typing import EventDict

from server.telemetry.repeats import LIMITED, Repeats

# How long the end of the process waits for the last lines.
FLUSH_SECONDS = 1.0
# How often counts are written.
TICK_SECONDS = 1.0
# The largest number of lines in one call.
BATCH_LINES = 100
# How long lines gather after a call: a line that wakes the thread takes the interpreter from a
# request.
GATHER_SECONDS = 0.05


class LineQueue(logging.Handler):
    """A bounded queue before a file descriptor. The thread starts with a process's first line."""

    def __init__(self, descriptor: int, capacity: int, repeats: Repeats) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._repeats = repeats
        self._reset()
        # A fork has neither the thread nor the locks; its parent writes the queued lines.
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._queued = self._written = self._dropped = 0
        self._thread: threading.Thread | None = None
        self._repeats.forget()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line where there is room; called under the handler's lock."""
        if self._lines.qsize() >= self._capacity:
            self._dropped += 1
        else:
            self._put(record)

    def drop_repeats(self, logger: object, level: str, event: EventDict) -> EventDict:
        """The first processor of structlog: what is only counted must cost little."""
        if event.get("event") in LIMITED:
            event["level"] = level
            self.acquire()
            try:
                is_admitted = self._repeats.admits(event)
            finally:
                self.release()
            if not is_admitted:
                raise structlog.DropEvent
        return event

    def _put(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        self._queued += 1
        self._lines.put(line.encode("utf-8", "backslashreplace"))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until the queued lines are written, for a second at most."""
        self._count(all_of_them=True)
        until = time.monotonic() + FLUSH_SECONDS
        while self._written < self._queued and time.monotonic() < until:
            time.sleep(0.005)

    def _run(self) -> None:
        counted = time.monotonic()
        while True:
            batch = []
            with contextlib.suppress(queue.Empty):
                batch.append(self._lines.get(timeout=TICK_SECONDS))
                while len(batch) < BATCH_LINES:
                    batch.append(self._lines.get_nowait())
            self._write(b"".join(batch))
            self._written += len(batch)
            if 0 < len(batch) < BATCH_LINES:
                time.sleep(GATHER_SECONDS)
            if time.monotonic() - counted >= TICK_SECONDS:
                counted = time.monotonic()
                # The end of the process flushes with the lock, and waits for this thread.
                self._count(waits=False)

    def _count(self, *, all_of_them: bool = False, waits: bool = True) -> None:
        """Queue the number of dropped lines, and of repeated lines of each kind. There is room for
        these, because a reader that was slow finds the queue full again."""
        if self.lock is None or not self.lock.acquire(blocking=waits):
            return
        try:
            counts = self._repeats.over(all_of_them=all_of_them)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                counts.append({"event": "log_lines_dropped", "level": "error", "count": dropped})
            for count in counts:
                level = str(count.pop("level", "warning")).upper()
                event = {"msg": count.pop("event"), "levelname": level, "name": "plexsphere.logs"}
                self._put(logging.makeLogRecord({**count, **event}))
        finally:
            self.release()

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:  # the reader is gone
                return
