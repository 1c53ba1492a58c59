"""Reachability: the block of the snapshot, how long a Node may be silent, and what a sweep did."""

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


ZERO = timedelta(0)
SHORTEST_INTERVAL = timedelta(seconds=10)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReachabilityPolicy:
    """A Node is stale once silent for ``stale_after``, unreachable once for ``unreachable_after``.

    The bounds are included: a Node that was silent for exactly ``stale_after`` is stale.
    """

    heartbeat_interval: timedelta
    stale_after: timedelta
    unreachable_after: timedelta


DEFAULT_POLICY = ReachabilityPolicy(
    timedelta(seconds=30), timedelta(seconds=90), timedelta(seconds=300)
)
# No sweep for longer than this is a pause, and silence during a pause proves nothing. It is shorter
# than the shortest policy's time to stale (30 s), less one of its intervals (10 s).
PAUSE_AFTER = timedelta(seconds=20)


def reachability_policy(
    heartbeat_interval: timedelta | None,
    stale_after: timedelta | None,
    unreachable_after: timedelta | None,
) -> ReachabilityPolicy | None:
    """A Domain's own policy; None where it chooses the service's numbers (all zero or absent).

    Raises InvalidReachabilityPolicy for a part of one, and for numbers that contradict each other.
    """
    interval, stale, unreachable = (
        one or ZERO for one in (heartbeat_interval, stale_after, unreachable_after)
    )
    if interval == stale == unreachable == ZERO:
        return None
    if ZERO in (interval, stale, unreachable):
        raise InvalidReachabilityPolicy("all three durations or none")
    if interval < SHORTEST_INTERVAL:
        raise InvalidReachabilityPolicy("heartbeat_interval is below 10 s")
    if stale < 3 * interval:
        raise InvalidReachabilityPolicy("stale_after is below three heartbeat intervals")
    if unreachable < 2 * stale:
        raise InvalidReachabilityPolicy("unreachable_after is below twice stale_after")
    if max(interval, stale, unreachable) > LONGEST:
        raise InvalidReachabilityPolicy("a duration is above one hour")
    return ReachabilityPolicy(interval, stale, unreachable)


@dataclass(frozen=True, slots=True)
class Transition:
    """``nodes`` Nodes went from one state to another; ``some`` are a few of their ids."""

    was: str
    state: str
    nodes: int
    some: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every transition of one sweep, all of one moment.

    ``resumed``: this sweep came after a pause, so silence counts from this sweep on.
    """

    transitions: tuple[Transition, ...]
    resumed: bool

    @property
    def nodes(self) -> int:
        """How many Nodes changed state."""
        return sum(one.nodes for one in self.transitions)


class ReachabilitySource(Protocol):
    """The Addressed Node's liveness columns."""

    def reachability(self) -> ReachabilityRow: ...


class ReachabilityRepo(Protocol):
    """The liveness columns of one Node, without the rest of its snapshot."""

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        """What ``ReachabilitySource`` shows of the same moment.

        Raises NodeNotFound, DatastoreUnavailable, and CorruptLedger for what cannot be decoded.
        """
        ...
