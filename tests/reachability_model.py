"""The reachability rules a second time, one Node at a time, in plain Python.

Written from the rules as they are told, not from the statement: what the sweep is compared with.
"""

from __future__ import annotations

from datetime import datetime, timedelta

STALE, UNREACHABLE = timedelta(seconds=90), timedelta(seconds=300)


def verdict(
    state: str,
    heard: datetime | None,
    now: datetime,
    watching_since: datetime | None = None,
    stale_after: timedelta = STALE,
    unreachable_after: timedelta = UNREACHABLE,
) -> str:
    """The state after a sweep at ``now``; ``watching_since`` None means that no pause is known."""
    if heard is None:
        return state

    def after(silence: timedelta) -> str:
        if silence < stale_after:
            return "healthy"
        return "stale" if silence < unreachable_after else "unreachable"

    worst = after(now - heard)
    if watching_since is None or heard >= watching_since or worst == "healthy":
        return worst
    # It may have spoken when nobody listened: what counts against it is the silence since then.
    proven = after(now - watching_since)
    order = ["", "healthy", "stale", "unreachable"]
    if order.index(state) >= order.index(worst):
        return worst
    if proven == "healthy":
        return state
    return max(state, proven, key=order.index)
