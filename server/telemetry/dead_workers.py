"""The numbers of workers that are gone, added up in one file of each kind.

Each worker counts in files of its own, and every scrape reads all of them: without this they would
become more with each reload.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterator
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


class DeadWorkers:
    """Workers whose counts are not added up yet. It never raises, because the master must go on."""

    def __init__(
        self,
        folder: str,
        warn: Callable[..., None],
        add_up: Callable[[str, int], None] = add_up_dead,
    ) -> None:
        """``warn`` takes a sentence with %s and what stands there."""
        self._folder = folder
        self._warn = warn
        self._add_up = add_up
        self._left: set[int] = set()

    def ended(self, pid: int, living: Collection[int]) -> None:
        """Add up the counts of a worker, and those that could not be added up before."""
        self._left.add(pid)
        self._left.difference_update(living)  # a number may be a new worker's
        for dead in sorted(self._left):
            try:
                self._add_up(self._folder, dead)
            except OSError as error:  # of a disk, or a scrape that does not end: with the next
                self._warn("metrics of worker %s are not added up yet: %s", dead, error)
                return
            except Exception as error:  # of a torn file
                self._warn("metrics of worker %s are not added up: %r", dead, error)
            self._left.discard(dead)
