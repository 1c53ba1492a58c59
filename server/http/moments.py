"""Moments by key, in memory that all workers of a host share."""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from struct import Struct

import structlog

# Digest of the key, the moment in seconds of the monotonic clock, which all processes of a machine
# share, and a mark that a user of the table may set.
_RECORD = Struct("=16sd8s")
NO_MARK = bytes(8)
# A key has one of the places of its set. In a full set it takes that of the earliest moment.
SETS = 16_384
PLACES = 8
_SET_BYTES = PLACES * _RECORD.size
# A process that was stopped while it had the lock must not stop the others.
LOCK_ATTEMPTS = 50
LOCK_PAUSE = 0.001  # seconds

_log = structlog.stdlib.get_logger("plexsphere.limits")


class MomentTable:
    """A table of 131,072 keys in 4 MB. Thread-safe, and safe for several processes."""

    def __init__(self, file: Path | None = None, sets: int = SETS) -> None:
        """``file`` is that of all workers. Without one, and where the disk has no room for it, the
        table is the process's own."""
        size = sets * _SET_BYTES
        self._sets = sets
        self._lock = threading.Lock()
        self._file = None if file is None else _allocated(file, size)
        self._memory = mmap.mmap(-1 if self._file is None else self._file, size)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the table meanwhile."""
        with self._lock:
            has_lock = self._lock_file()
            try:
                yield
            finally:
                if has_lock and self._file is not None:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)

    def read(self, key: str) -> tuple[float, bytes]:
        """The moment and the mark of a key; 0 where it has none. With ``locked``."""
        digest = _digest(key)
        for place in self._places(digest):
            found, moment, mark = _RECORD.unpack_from(self._memory, place)
            if found == digest:
                return moment, mark
        return 0.0, NO_MARK

    def write(self, key: str, moment: float, mark: bytes = NO_MARK) -> None:
        """Write a slot; the caller has ``locked``."""
        digest = _digest(key)
        earliest, chosen = float("inf"), 0
        for place in self._places(digest):
            found, other, _ = _RECORD.unpack_from(self._memory, place)
            if found == digest:
                chosen = place
                break
            if other < earliest:
                earliest, chosen = other, place
        _RECORD.pack_into(self._memory, chosen, digest, moment, mark)

    def _places(self, digest: bytes) -> range:
        begin = int.from_bytes(digest[:4]) % self._sets * _SET_BYTES
        return range(begin, begin + _SET_BYTES, _RECORD.size)

    def _lock_file(self) -> bool:
        for _ in range(LOCK_ATTEMPTS if self._file is not None else 0):
            try:
                fcntl.lockf(self._file or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(LOCK_PAUSE)
            else:
                return True
        return False


def _allocated(file: Path, size: int) -> int | None:
    """An open file of that size, with the records that it has already; None where the disk is full,
    because memory that is mapped to a file without room kills the process that writes it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        os.close(descriptor)
        _log.warning("limits_not_shared", cause=str(error))
        return None
    return descriptor


def mark_of(content: bytes) -> bytes:
    """The mark that stands for ``content``."""
    return sha256(content).digest()[:8]


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()[:16]
