"""Durations as Go reads and writes them (``1m30s``), because agents and other services use Go."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"(?=\.?[0-9])([0-9]*)\.?([0-9]*)(h|ms|m|s|us|\u00b5s|\u03bcs|ns)", re.ASCII)
_NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign
    "\u03bcs": 1_000,  # the Greek letter
    "ns": 1,
}
_MAX_NANOSECONDS = 2**63 - 1  # Go's int64


def parse_duration(text: str) -> timedelta:
    """The duration of ``text``, rounded down to a microsecond.

    Raises ValueError for a text that Go's ParseDuration rejects, and for a minus sign.
    """
    unsigned = text.removeprefix("+")
    if unsigned == "0":
        return timedelta(0)
    total, position = 0, 0
    while position < len(unsigned) or not unsigned:
        part = _PART.match(unsigned, position)
        if part is None:
            raise ValueError("not a duration")
        whole, fraction, unit = part.groups()
        scale = _NANOSECONDS[unit]
        total += int(whole or "0") * scale
        total += int(fraction or "0") * scale // 10 ** len(fraction)
        position = part.end()
    if total > _MAX_NANOSECONDS:
        raise ValueError("longer than Go can count")
    return timedelta(microseconds=total // 1_000)


def format_duration(value: timedelta) -> str:
    """The duration as Go prints it: ``30s``, ``1m30s``, ``1h0m0s``. It must not be negative."""
    seconds, micros = divmod(value // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    if hours:
        return f"{hours}h{minutes}m{seconds}{fraction}s"
    return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"
