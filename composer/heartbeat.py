"""A heartbeat: a Node's agent says that it is alive, and the ledger records the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ClockSkew
from composer.identity import Principal

# The largest difference of a client's clock from the ledger's.
MAX_CLOCK_SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    """The outcome of a heartbeat.

    ``accepted_at`` is the recorded time in UTC. It is None where nothing was recorded: the caller
    must first be authorized at ``authz_token``, the Node's ZedToken.
    """

    accepted_at: datetime | None
    authz_token: str | None


def client_moment(text: str) -> datetime:
    """The time of an RFC 3339 text, in UTC, to the microsecond.

    Raises ValueError for a time that does not exist, such as a 61st second, and ClockSkew for a
    time outside the years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ClockSkew("client_now is outside the years 1 to 9999") from None


class HeartbeatSink(Protocol):
    """Writes heartbeats."""

    def heartbeat(
        self,
        principal: Principal,
        node_id: UUID,
        client_now: datetime,
        last_token: str | None,
        deadline: Deadline,
    ) -> HeartbeatResult:
        """Record a heartbeat of the Node by the ledger's clock, in one statement.

        It is recorded only where the Node's row has no ZedToken, or has ``last_token``. Otherwise
        the result has the Node's token: the caller must authorize at that token and call again. The
        reachability state and the Domain's ``peers_revision`` do not change. The statement waits
        only for another writer of the same row, up to the lock timeout. Raises NodeNotFound,
        then CredentialEnded where ``principal`` is the Node and its credential is not valid any
        more (``AddressedNode.check_credential``), then ClockSkew where ``client_now`` is more than
        ``MAX_CLOCK_SKEW`` from the ledger's clock, DatastoreUnavailable.
        """
        ...
