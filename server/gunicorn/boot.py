"""The progress of a worker's start, as its master sees it."""

from __future__ import annotations

import mmap
from enum import IntEnum


class Boot(IntEnum):
    """The steps of a worker's boot, in order."""

    STARTING = 0
    SERVING = 1
    FAILED = 2


class BootState:
    """One byte that a worker writes and its master reads."""

    def __init__(self) -> None:
        """Made before the fork, so that both have it."""
        self._shared = mmap.mmap(-1, 1)

    def get(self) -> Boot:
        """The last progress that the worker reported."""
        return Boot(self._shared[0])

    def set(self, boot: Boot) -> None:
        """Report progress."""
        self._shared[0] = boot
