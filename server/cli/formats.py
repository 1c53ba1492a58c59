"""Values as a person reads them. The result of ``printable`` cannot move a terminal's cursor."""

from __future__ import annotations

from datetime import UTC, datetime

ZERO_TIME = "0001-01-01T00:00:00Z"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def printable(text: object) -> str:
    """``text`` with every control, format and bidirectional character escaped.

    Entry values come from Nodes, and an escape sequence in a value would move the cursor of an
    operator's terminal.
    """
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in str(text)
    )


def shortened(text: str, narrow: bool) -> str:
    """A base64 digest or key; where the screen is narrow without its middle."""
    return f"{text[:8]}…{text[-5:]}" if narrow and len(text) > 16 else text


def counted(number: int, noun: str) -> str:
    """``3 peers``, ``1 peer``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def timestamp_with_age(timestamp: str, now: datetime) -> str:
    """A timestamp of a snapshot, and its age by the clock of this machine."""
    if timestamp == ZERO_TIME:
        return "never"
    try:
        seconds = (now - datetime.fromisoformat(timestamp)).total_seconds()
    except (ValueError, TypeError):
        return timestamp
    age = "in the future" if seconds < 0 else f"{duration(seconds)} ago"
    return f"{timestamp} ({age})"


def duration(seconds: float) -> str:
    """``45 s``, ``7 min``, ``3 h``, ``12 d``, rounded down."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def utc(moment: datetime) -> str:
    """The time to the second, in UTC, whatever time zone the session of Postgres has."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
