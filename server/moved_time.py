"""Time that a test has moved: ``PLEXSPHERE_TEST_CLOCK``, which is never set in production.

The service and the evaluator read the same file, so that 300 s can pass without anybody sleeping.
"""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

from composer.errors import ComposerError
from db.clock import TimeOffset, no_offset

# A century: further on, sums with the ledger's clock stay far from the end of its calendar.
FURTHEST = 100 * 365 * 86_400.0


class MovedTime:
    """How far time is ahead of the ledger's clock, as the file says at the moment of asking."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> timedelta:
        """Raises ComposerError where the file does not say."""
        try:
            seconds = float(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError) as cause:
            raise ComposerError("the test clock cannot be read") from cause
        if not 0 <= seconds <= FURTHEST or math.isnan(seconds):
            raise ComposerError("the test clock names no time ahead")
        return timedelta(seconds=seconds)


def moved_time(path: str) -> TimeOffset:
    """How far time is ahead: what the file says, and in production, without one, nothing."""
    return MovedTime(Path(path)) if path else no_offset


def is_readable(path: str) -> bool:
    """Whether the file says how far time is ahead."""
    try:
        MovedTime(Path(path))()
    except ComposerError:
        return False
    return True
