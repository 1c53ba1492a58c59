"""The test clock: a file that says how far a test has moved time (``PLEXSPHERE_TEST_CLOCK``).

Production never sets it. The service and the evaluator read the same file, so a test can let 300 s
pass without sleeping.
"""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

from composer.errors import ComposerError
from db.clock import TimeOffset, no_offset

# A century, in seconds. Sums with the ledger's clock then stay far from the end of its calendar.
MAX_OFFSET = 100 * 365 * 86_400.0


class ClockFile:
    """Reads, at each call, how far time is ahead of the ledger's clock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> timedelta:
        """Raises ComposerError where the file holds no number of seconds in the bounds."""
        try:
            seconds = float(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError) as cause:
            raise ComposerError("the test clock cannot be read") from cause
        if not 0 <= seconds <= MAX_OFFSET or math.isnan(seconds):
            raise ComposerError("the test clock is out of bounds")
        return timedelta(seconds=seconds)


def test_clock_offset(path: str) -> TimeOffset:
    """The offset that the file at ``path`` names; zero where ``path`` is empty."""
    return ClockFile(Path(path)) if path else no_offset


def is_readable(path: str) -> bool:
    """Whether the file names an offset."""
    try:
        ClockFile(Path(path))()
    except ComposerError:
        return False
    return True
