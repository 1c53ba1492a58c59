"""The file behind PLEXSPHERE_TEST_CLOCK, for tests that move time."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .files import write_private


class MovableClock:
    """The seconds by which the service's time is ahead of the system clock.

    They stay in the folder with the ledger: timestamps written in moved time must not lie in the
    future of the next start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self) -> None:
        if not self._path.exists():
            self._write(0.0)

    @property
    def offset(self) -> timedelta:
        return timedelta(seconds=float(self._path.read_text()))

    def forward(self, seconds: float) -> None:
        """Lets `seconds` pass for the service and the evaluator."""
        self._write(self.offset.total_seconds() + seconds)

    def now(self) -> datetime:
        """The time of an agent's clock in moved time."""
        return datetime.now(UTC) + self.offset

    def _write(self, seconds: float) -> None:
        # Renamed into place, so that a reader finds the old number or the new number whole.
        fresh = self._path.with_suffix(".fresh")
        write_private(fresh, repr(seconds))
        os.replace(fresh, self._path)
