"""How long a Node may be silent: the service's own numbers, or those of its Domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from composer.errors import InvalidReachabilityPolicy

ZERO = timedelta(0)
SHORTEST_INTERVAL = timedelta(seconds=10)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ReachabilityPolicy:
    """A Node is stale once silent for ``stale_after``, unreachable once for ``unreachable_after``.

    Silent for exactly as long counts as silent for that long.
    """

    heartbeat_interval: timedelta
    stale_after: timedelta
    unreachable_after: timedelta


DEFAULT_POLICY = ReachabilityPolicy(
    timedelta(seconds=30), timedelta(seconds=90), timedelta(seconds=300)
)
# So long may nobody have listened before silence proves nothing: a Node that is heard every
# interval misses none of the shortest policy there is (10 s, stale after 30 s) in less.
DEAF_AFTER = timedelta(seconds=20)


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
