"""The seams of liveness: where a Node's agent is heard, and where the verdict on it is read."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.heartbeat import Heard
from composer.reachability import ReachabilityRow


class HeartbeatSink(Protocol):
    """Where heartbeats are written."""

    def heartbeat(
        self, node_id: UUID, client_now: datetime, decided_at: str | None, deadline: Deadline
    ) -> Heard:
        """Note, by the ledger's own clock, that the Node was heard of. One statement.

        It is noted only where the Node carries no ZedToken, or ``decided_at``; else the caller is
        told the Node's token, has to decide again and may come back. Nothing else changes: not the
        verdict, not the Domain's ``peers_revision``. Waits only for another writer of the same row,
        and not for long. Raises NodeNotFound when there is no such Node, else ClockSkew when
        ``client_now`` is more than ``MAX_CLOCK_SKEW`` away from the ledger's clock and the caller
        has no need to decide again; DatastoreUnavailable.
        """
        ...


class ReachabilityRepo(Protocol):
    """The liveness columns of one Node, without the rest of its snapshot."""

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        """What ``ReachabilitySource`` shows of the same moment.

        Raises NodeNotFound, DatastoreUnavailable, and CorruptLedger for what cannot be decoded.
        """
        ...
