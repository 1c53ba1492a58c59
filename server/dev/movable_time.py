"""The file behind PLEXSPHERE_TEST_CLOCK, as whoever moves time holds it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .failures import write_private


class MovableTime:
    """Seconds by which time is ahead of the clock on the wall.

    They stay in the folder with the ledger: moments written in a time that was moved must not lie
    in the future of the next start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self) -> None:
        if not self._path.exists():
            self._write(0.0)

    @property
    def ahead(self) -> timedelta:
        return timedelta(seconds=float(self._path.read_text()))

    def forward(self, seconds: float) -> None:
        """Let `seconds` pass for the service and the evaluator."""
        self._write(self.ahead.total_seconds() + seconds)

    def now(self) -> datetime:
        """What an agent's clock says in that time."""
        return datetime.now(UTC) + self.ahead

    def _write(self, seconds: float) -> None:
        # Renamed into place: a reader finds the old number or the new one, whole.
        fresh = self._path.with_suffix(".fresh")
        write_private(fresh, repr(seconds))
        os.replace(fresh, self._path)
