"""The ``reachability`` block: the Addressed Node's own liveness verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from composer.errors import CorruptLedger
from composer.snapshot import Reachability

# "" is "not yet evaluated" (D14).
STATES = ("healthy", "stale", "unreachable", "")

# Go's zero time, which the seed puts where no heartbeat was ever accepted (D14).
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReachabilityRow:
    """The liveness columns of ``plexsphere.nodes``; times are aware."""

    state: str
    last_heartbeat_at: datetime | None
    changed_at: datetime


def reachability(row: ReachabilityRow) -> Reachability:
    """Project the columns. Raises CorruptLedger for a state that is not in the seed's set."""
    if row.state not in STATES:
        raise CorruptLedger("reachability_state is none of healthy, stale, unreachable, ''")
    return Reachability(
        state=row.state,
        last_heartbeat_at=row.last_heartbeat_at or ZERO_TIME,
        changed_at=row.changed_at,
    )
