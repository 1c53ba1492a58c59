"""The ``reachability`` block: the Addressed Node's own liveness verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from composer.errors import CorruptLedger
from composer.snapshot import Reachability

# "" means that the Node was never evaluated.
STATES = ("healthy", "stale", "unreachable", "")

# Go's zero time, which agents expect where no heartbeat was ever accepted.
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReachabilityRow:
    """The liveness columns of ``plexsphere.nodes``; times are aware."""

    state: str
    last_heartbeat_at: datetime | None
    changed_at: datetime


def reachability(row: ReachabilityRow) -> Reachability:
    """Project the columns. Raises CorruptLedger for a state that is not in ``STATES``."""
    if row.state not in STATES:
        raise CorruptLedger("reachability_state is none of healthy, stale, unreachable, ''")
    return Reachability(
        state=row.state,
        last_heartbeat_at=row.last_heartbeat_at or ZERO_TIME,
        changed_at=row.changed_at,
    )
