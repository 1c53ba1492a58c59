"""A heartbeat: a Node's agent says that it is alive, and the ledger notes when it heard so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from composer.errors import ClockSkew

# How far a client's clock may be from the ledger's, either way.
MAX_CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a heartbeat: when it was noted, in UTC, or None where it was not, because the
    relationships of the Node have changed since ``authz_token`` was last decided on."""

    accepted_at: datetime | None
    authz_token: str | None


def client_moment(text: str) -> datetime:
    """The moment of an RFC 3339 text, in UTC, to the microsecond.

    Raises ValueError where it names no moment, such as a 61st second, and ClockSkew where it lies
    past the first or the last year there is.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ClockSkew("client_now is past all calendars") from None
