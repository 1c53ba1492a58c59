"""Reachability: the block of the snapshot, a Domain's durations, and the result of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import CorruptLedger, InvalidReachabilityPolicy
from composer.snapshot import Reachability

# "" means that the Node was never evaluated.
STATES = ("healthy", "stale", "unreachable", "")

# Go's zero time, which agents expect where no heartbeat has been accepted.
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReachabilityRow:
    """The reachability columns of ``plexsphere.nodes``; times are aware."""

    state: str
    last_heartbeat_at: datetime | None
    changed_at: datetime


def reachability(row: ReachabilityRow) -> Reachability:
    """The block of a row. Raises CorruptLedger for a state that is not in ``STATES``."""
    if row.state not in STATES:
        raise CorruptLedger("reachability_state is none of healthy, stale, unreachable, ''")
    return Reachability(
        state=row.state,
        last_heartbeat_at=row.last_heartbeat_at or ZERO_TIME,
        changed_at=row.changed_at,
    )


ZERO = timedelta(0)
MIN_INTERVAL = timedelta(seconds=10)
MAX_DURATION = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReachabilityPolicy:
    """The durations without a heartbeat after which a Node is stale and unreachable.

    The bounds are included: after exactly ``stale_after`` a Node is stale.
    """

    heartbeat_interval: timedelta
    stale_after: timedelta
    unreachable_after: timedelta


DEFAULT_POLICY = ReachabilityPolicy(
    timedelta(seconds=30), timedelta(seconds=90), timedelta(seconds=300)
)
# A longer time between two sweeps is a pause. In a pause no Node is judged by its missing
# heartbeats. It is at most the shortest ``stale_after`` (30 s) less one interval (10 s).
PAUSE_AFTER = timedelta(seconds=20)


def reachability_policy(
    heartbeat_interval: timedelta | None,
    stale_after: timedelta | None,
    unreachable_after: timedelta | None,
) -> ReachabilityPolicy | None:
    """A Domain's own policy; None where all three are zero or None, which means the defaults.

    Raises InvalidReachabilityPolicy for an incomplete policy and for durations out of bounds.
    """
    interval, stale, unreachable = (
        duration or ZERO for duration in (heartbeat_interval, stale_after, unreachable_after)
    )
    if interval == stale == unreachable == ZERO:
        return None
    if ZERO in (interval, stale, unreachable):
        raise InvalidReachabilityPolicy("all three durations or none")
    if interval < MIN_INTERVAL:
        raise InvalidReachabilityPolicy("heartbeat_interval is below 10 s")
    if stale < 3 * interval:
        raise InvalidReachabilityPolicy("stale_after is below three heartbeat intervals")
    if unreachable < 2 * stale:
        raise InvalidReachabilityPolicy("unreachable_after is below twice stale_after")
    if max(interval, stale, unreachable) > MAX_DURATION:
        raise InvalidReachabilityPolicy("a duration is above one hour")
    return ReachabilityPolicy(interval, stale, unreachable)


@dataclass(frozen=True, slots=True)
class Transition:
    """``nodes`` is how many Nodes went from one state to another; a few ids are examples."""

    old_state: str
    new_state: str
    nodes: int
    example_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The transitions of one sweep.

    ``resumed``: a pause ended with this sweep, so missing heartbeats count from this sweep on.
    """

    transitions: tuple[Transition, ...]
    resumed: bool

    @property
    def nodes(self) -> int:
        """The number of Nodes that changed state."""
        return sum(transition.nodes for transition in self.transitions)


class ReachabilitySource(Protocol):
    """Yields the Addressed Node's reachability columns."""

    def reachability(self) -> ReachabilityRow: ...


class ReachabilityRepo(Protocol):
    """Reads the reachability columns of one Node without the rest of its snapshot."""

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        """The same row that ``ReachabilitySource`` yields.

        Raises NodeNotFound, DatastoreUnavailable, CorruptLedger for a row that cannot be decoded.
        """
        ...
