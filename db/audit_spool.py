"""Audit rows that wait on disk, so that they outlive every process.

Each process has a file of its own in a folder that all processes of a host share, and has a lock on
it, which ends with the process. A file without a lock is that of an ended process: whoever locks it
first writes its rows to the ledger. A row is a line; the ledger knows how many lines of a file it
has (plexsphere.audit_writers), so a row is written once.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from uuid import UUID, uuid4

from composer.audit import AuditRow
from db.audit_batches import Batch, QueuedRow

MODE = 0o600
SUFFIX = ".rows"
# A file whose rows are all written is replaced from this size on.
REPLACED_BYTES = 1_048_576
# How often a process that puts rows looks how much the files of the others have (seconds).
MEASURED_EVERY = 1.0
READ_BYTES = 262_144

OnDamage = Callable[[str, int], None]


class SpoolFile:
    """Implements db.audit_batches.RowQueue on one file. Its name is the writer of its batches."""

    def __init__(self, path: Path, descriptor: int, clocks: Clocks, on_damage: OnDamage) -> None:
        """The lock on ``descriptor`` is ours."""
        self.path = path
        self._descriptor = descriptor
        self.writer = UUID(path.stem)
        self._clocks = clocks
        self._on_damage = on_damage
        self._lock = threading.Lock()
        self.end = os.fstat(descriptor).st_size
        self._read = 0  # bytes whose rows are done
        self._lines = 0  # and their lines
        self._ends: list[tuple[int, int]] = []  # bytes and lines after each row of the last batch

    def __len__(self) -> int:
        """The bytes that wait."""
        return self.end - self._read

    def put(self, line: bytes) -> bool:
        """Append a line; False where the disk does not take it whole, or the file was deleted."""
        with self._lock:
            try:
                is_there = os.fstat(self._descriptor).st_nlink
                written = os.write(self._descriptor, line) if is_there else 0
            except OSError:
                written = 0
            if written == len(line):
                self.end += written
                return True
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.end)
            return False

    def skip(self, lines: int) -> None:
        """The first ``lines`` are in the ledger already."""
        while self._lines < lines:
            batch = self.batch(lines - self._lines)
            if batch is None:
                return
            self.done(len(batch.rows))

    def batch(self, limit: int) -> Batch | None:
        """See RowQueue. A line that is torn or damaged is left out."""
        self._ends = []
        rows: list[QueuedRow] = []
        offset, number = self._read, self._lines
        for line in self._lines_from(offset):
            offset, number = offset + len(line), number + 1
            row = _row(line, self._clocks)
            if row is None:
                if rows:
                    break
                self._on_damage(self.path.name, len(line))
                continue
            rows.append(row)
            self._ends.append((offset, number))
            if len(rows) == limit:
                break
        if rows:
            return Batch(self.writer, self._ends[-1][1], tuple(rows))
        self._read, self._lines = offset, number
        return None

    def done(self, rows: int) -> None:
        """See RowQueue."""
        if rows:
            self._read, self._lines = self._ends[rows - 1]

    def close(self, *, delete: bool) -> None:
        """End the lock."""
        if delete:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _lines_from(self, offset: int) -> Iterator[bytes]:
        pieces: list[bytes] = []  # of a line; a damaged one may be as long as the file
        while offset < self.end:
            chunk = os.pread(self._descriptor, min(READ_BYTES, self.end - offset), offset)
            if not chunk:
                break
            offset += len(chunk)
            for piece in chunk.splitlines(keepends=True):
                pieces.append(piece)
                if piece.endswith(b"\n"):
                    yield b"".join(pieces)
                    pieces = []
        if pieces:
            yield b"".join(pieces)


class AuditSpool:
    """The files of a folder. ``put`` may be called by any thread, all else by one."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        on_damage: OnDamage,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """All files have at most about ``max_bytes``. ``on_damage(file, bytes)`` gets each line
        that cannot be read."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._on_damage = on_damage
        self._monotonic = monotonic
        self._clocks = Clocks(monotonic)
        self._others = 0  # bytes of the files of other processes
        self._measured_at = float("-inf")
        self._is_full = False  # a row was refused since the own file was begun
        self._lock = threading.Lock()
        self.own: SpoolFile | None = None

    def start(self) -> None:
        """Begin in a process; the parent's file is the parent's."""
        self.own = None

    def put(self, queued: QueuedRow) -> bool:
        """Write the row to disk; False where there is no room."""
        line = _line(queued, self._clocks)
        with self._lock:
            if self.own is None:
                self.own = self._made()
            own = self.own
            if own is None:
                return False
            if self._monotonic() - self._measured_at >= MEASURED_EVERY:
                self._measured_at = self._monotonic()
                self._others = sum(size for _, size, _ in self._files_of_others())
            has_room = self._others + own.end + len(line) <= self._max_bytes
            if has_room and own.put(line):
                return True
            self._is_full = True
            return False

    def renew(self) -> None:
        """Begin another file where the own one is large, or there is no room, and none of its rows
        waits."""
        with self._lock:
            own = self.own
            if own is None or len(own):
                return
            if own.end >= REPLACED_BYTES or self._is_full:
                own.close(delete=True)
                self.own, self._is_full = None, False

    def left_behind(self) -> Iterator[SpoolFile]:
        """Each file of an ended process, the oldest first. It must be closed."""
        for _, _, path in sorted(self._files_of_others()):
            file = self._opened(path, os.O_RDWR)
            if file is not None:
                yield file

    def close(self) -> None:
        """Close the spool. Rows that wait stay for the next process."""
        with self._lock:
            if self.own is not None:
                self.own.close(delete=not len(self.own))
                self.own = None

    def _files_of_others(self) -> list[tuple[float, int, Path]]:
        """The time, the bytes and the path of each. A file may go at any moment."""
        own, found = self.own, []
        with suppress(OSError):
            for entry in os.scandir(self._folder):
                path = Path(entry.path)
                if path.suffix == SUFFIX and (own is None or path != own.path):
                    with suppress(OSError):
                        facts = entry.stat(follow_symlinks=False)
                        found.append((facts.st_mtime, facts.st_size, path))
        return found

    def _made(self) -> SpoolFile | None:
        path = self._folder / f"{uuid4()}{SUFFIX}"
        # Under the name that others look for only when it is locked.
        unlocked = path.with_suffix(".new")
        file = self._opened(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        if file is None:
            return None
        try:
            os.rename(unlocked, path)
        except OSError:
            file.close(delete=True)
            return None
        file.path = path
        return file

    def _opened(self, path: Path, flags: int) -> SpoolFile | None:
        """The open file; None where the file is not ours alone, or another process has the lock."""
        try:
            UUID(path.stem)
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        except (OSError, ValueError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            facts = os.fstat(descriptor)
            is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
            # Without a name it was written and deleted by another process just now.
            if is_ours and stat.S_IMODE(facts.st_mode) == MODE and facts.st_nlink == 1:
                return SpoolFile(
                    path=path, descriptor=descriptor, clocks=self._clocks, on_damage=self._on_damage
                )
        except OSError:
            pass
        os.close(descriptor)
        return None


class Clocks:
    """The monotonic clock of rows in memory, and the clock of rows on disk, which a restart of the
    machine does not begin anew."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def on_disk(self, at: float) -> float:
        """A monotonic moment on the other clock."""
        return time.time() - (self._monotonic() - at)

    def in_memory(self, at: float) -> float:
        """The reverse."""
        return self._monotonic() - max(0.0, time.time() - at)


_FIELDS_OF = attrgetter(*(field.name for field in fields(AuditRow)))


def _line(queued: QueuedRow, clocks: Clocks) -> bytes:
    content = json.dumps([clocks.on_disk(queued.at), *_FIELDS_OF(queued.row)]).encode()
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _row(line: bytes, clocks: Clocks) -> QueuedRow | None:
    checksum, _, content = line.partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(content[:-1]):
        return None
    try:
        at, *fields = json.loads(content)
        return QueuedRow(clocks.in_memory(at), AuditRow(*fields))
    except (TypeError, ValueError):  # of another release
        return None
