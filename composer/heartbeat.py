"""A heartbeat: a Node's agent says that it is alive, and the ledger records the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ClockSkew

# How far a client's clock may be from the ledger's, either way.
MAX_CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    """``accepted_at`` is the recorded moment in UTC. It is None where nothing was recorded, because
    the Node carries an ``authz_token`` at which the caller has not been authorized yet."""

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


class HeartbeatSink(Protocol):
    """Where heartbeats are written."""

    def heartbeat(
        self, node_id: UUID, client_now: datetime, decided_at: str | None, deadline: Deadline
    ) -> HeartbeatResult:
        """Record a heartbeat of the Node by the ledger's own clock. One statement.

        It is recorded only where the Node carries no ZedToken, or carries ``decided_at``. Otherwise
        the result has the Node's token, and the caller must authorize at that token and call again.
        The reachability state and the Domain's ``peers_revision`` do not change. The statement
        waits only for another writer of the same row, up to the lock timeout. Raises NodeNotFound
        when there is no such Node, then ClockSkew when ``client_now`` is more than
        ``MAX_CLOCK_SKEW`` from the ledger's clock, DatastoreUnavailable.
        """
        ...
