"""Deadlines for suites that also run on real parts: their clock is the real one."""

from __future__ import annotations

import time

from composer.deadline import Deadline


def in_time(seconds: float = 10.0) -> Deadline:
    """Plenty of time."""
    return Deadline.after(seconds, time.monotonic)


def expired() -> Deadline:
    """A budget that is spent."""
    return Deadline.after(-1.0, time.monotonic)
