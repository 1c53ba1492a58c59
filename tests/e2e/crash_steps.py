"""The steps of a write at which a test stops the worker that does it: killed, or held.

Files in a folder are how test and worker meet: they outlive the worker.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

# The setting of the test build (crashing_wsgi.py) that names the folder.
FOLDER = "CRASH_FOLDER"
# No test holds longer; a worker whose test is gone goes on (seconds).
HELD_AT_MOST = 30.0


class Step(StrEnum):
    """In the order in which a write takes them."""

    ASKED = "before the ledger is written"
    COMMITTED = "the ledger has committed"
    CLAIMED = "the outbox rows are claimed"
    TAKEN = "SpiceDB has taken the tuples"
    MARKED = "the rows are marked and not committed"
    SETTLED = "the mark is committed"
    ANSWERED = "the answer is made"
    SENDING = "the answer is half sent"


class Traps:
    """Both ends of the folder: what a test lays, and what a worker steps into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def lay(self, step: Step) -> None:
        """The first worker that reaches ``step`` dies there, and no other."""
        self._deadly(step).touch()

    def laid(self) -> list[Step]:
        """Those that nobody has stepped into."""
        return [step for step in Step if self._deadly(step).exists()]

    def clear(self) -> None:
        for left in self.folder.iterdir():
            left.unlink(missing_ok=True)

    @contextmanager
    def holding(self, step: Step) -> Iterator[None]:
        """A worker that reaches ``step`` meanwhile goes on when the block ends."""
        self._closed(step).touch()
        try:
            yield
        finally:
            self._closed(step).unlink()

    def waiting(self, step: Step) -> int:
        """The number of workers that wait there."""
        return len(list(self.folder.glob(f"{step.name}.held.*")))

    def reached(self, step: Step) -> None:
        """The worker's end: goes on, waits, or does not come back."""
        try:
            self._deadly(step).unlink()
        except FileNotFoundError:
            self._wait(step)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _wait(self, step: Step) -> None:
        closed = self._closed(step)
        if not closed.exists():
            return
        arrived = self.folder / f"{step.name}.held.{uuid4().hex}"
        arrived.touch()
        until = time.monotonic() + HELD_AT_MOST
        while closed.exists() and time.monotonic() < until:
            time.sleep(0.01)
        arrived.unlink(missing_ok=True)

    def _deadly(self, step: Step) -> Path:
        return self.folder / f"{step.name}.deadly"

    def _closed(self, step: Step) -> Path:
        return self.folder / f"{step.name}.closed"
