"""The time by which a test is ahead of Postgres' clock; in production it is zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

TimeOffset = Callable[[], timedelta]


def no_offset() -> timedelta:
    """Time as Postgres has it."""
    return timedelta(0)
