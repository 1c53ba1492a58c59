"""How far time is ahead of Postgres' clock: not at all, but where a test has moved it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

Ahead = Callable[[], timedelta]


def real_time() -> timedelta:
    """No test has moved time."""
    return timedelta(0)
