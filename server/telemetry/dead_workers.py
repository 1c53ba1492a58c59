"""The numbers of workers that are gone, added up in one file of each kind.

Each worker counts in files of its own, and every scrape reads all of them: without this they would
become more with each reload.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead

from server.telemetry.metric_files import SUMMED, file_of, reserve

ATTEMPTS, PAUSE = 10, 0.05  # s
_GONE = "0"  # in the place of a process id, which no worker has


@contextmanager
def unchanged(folder: str, *, by_others: bool = True) -> Iterator[None]:
    """No file of a dead worker is added up meanwhile: it would count twice, or not at all.

    With ``by_others=False`` nobody reads meanwhile.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if by_others:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        else:
            _lock_alone(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock_alone(descriptor: int) -> None:
    """Raises BlockingIOError where a scrape does not end; the master must not wait for it."""
    for _ in range(ATTEMPTS - 1):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def add_up_dead(folder: str, pid: int) -> None:
    """Move the counts of a worker that is gone, and forget its gauges. Raises OSError."""
    mark_process_dead(pid, folder)
    reserve_sums(folder)
    with unchanged(folder, by_others=False):
        for kind in SUMMED:
            file = file_of(folder, kind, pid)
            if file.exists():
                _move(file, file_of(folder, kind, _GONE))


def reserve_sums(folder: str) -> None:
    """Make the files that the counts go to. Raises OSError where the disk has no room for them."""
    reserve(folder, _GONE, SUMMED)


def _move(file: Path, total: Path) -> None:
    sums = MmapedDict(str(total))
    try:
        for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(file)):
            sums.write_value(key, sums.read_value(key)[0] + value, timestamp)
    finally:
        sums.close()
    file.unlink()
