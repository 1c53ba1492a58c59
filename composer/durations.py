"""Durations as Go writes them (``1m30s``), which is how the sibling surfaces do."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?(h|ms|m|s|us|ns)", re.ASCII)
_NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}


def duration(text: str) -> timedelta:
    """What ``text`` says, to the microsecond below it; ``0`` needs no unit.

    Raises ValueError for what Go would not read, for a sign, and for more than a calendar holds.
    """
    if text == "0":
        return timedelta(0)
    total, position = 0, 0
    while position < len(text) or not text:
        part = _PART.match(text, position)
        if part is None:
            raise ValueError("no duration")
        whole, fraction, unit = part.groups()
        scale = _NANOSECONDS[unit]
        total += int(whole) * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        position = part.end()
    try:
        return timedelta(microseconds=total // 1_000)
    except OverflowError:
        raise ValueError("longer than a calendar") from None


def duration_text(value: timedelta) -> str:
    """As Go prints it: ``30s``, ``1m30s``, ``1h0m0s``; never negative here."""
    seconds, micros = divmod(value // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    if hours:
        return f"{hours}h{minutes}m{seconds}{fraction}s"
    return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"
