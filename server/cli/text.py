"""Values as a person reads them. Nothing here reaches a terminal that could steer it."""

from __future__ import annotations

from datetime import UTC, datetime

ZERO_TIME = "0001-01-01T00:00:00Z"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def printable(text: object) -> str:
    """``text`` with every control, format and bidirectional character spelled out.

    Entry values come from Nodes: an escape sequence in one must not move an operator's cursor.
    """
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in str(text)
    )


def shortened(text: str, narrow: bool) -> str:
    """A base64 digest or key, cut in the middle where there is no room for all of it."""
    return f"{text[:8]}…{text[-5:]}" if narrow and len(text) > 16 else text


def counted(number: int, one: str, many: str | None = None) -> str:
    """``3 peers``, ``1 peer``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def when(timestamp: str, now: datetime) -> str:
    """A wire timestamp and how long ago that was by the clock of this machine."""
    if timestamp == ZERO_TIME:
        return "never"
    try:
        passed = (now - datetime.fromisoformat(timestamp)).total_seconds()
    except (ValueError, TypeError):
        return timestamp
    return f"{timestamp} ({_ago(passed)})"


def lasting(seconds: float) -> str:
    """``45 s``, ``7 min``, ``3 h``, ``12 d``, rounded down."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def moment(value: datetime) -> str:
    """To the second, in UTC whatever the zone of the session that gave it."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)


def _ago(seconds: float) -> str:
    if seconds < 0:
        return "in the future"
    return f"{lasting(seconds)} ago"
